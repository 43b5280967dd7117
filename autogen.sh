#!/bin/sh
# SPDX-License-Identifier: MIT
# Make ./configure from configure.ac. Does nothing when it is newer than all it comes from.
set -eu
cd "$(dirname "$0")"
if test -e configure && test -e Makefile.in && test -e config.h.in; then
    newer=$(find configure.ac Makefile.am src/*/local.mk ./*/local.mk -newer configure)
    test -n "$newer" || exit 0
fi
exec autoreconf --force --install
