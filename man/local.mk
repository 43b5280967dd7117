# SPDX-License-Identifier: MIT
# Manual pages.
dist_man_MANS += man/txcrash.1 man/txctl.1 man/txkit.3
