# SPDX-License-Identifier: MIT
# Manual pages.
dist_man_MANS += man/txctl.1 man/txkit.3
