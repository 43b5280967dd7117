# SPDX-License-Identifier: MIT
# Manual pages.
dist_man_MANS += man/txkit.3
