#!/bin/sh
# SPDX-License-Identifier: MIT
# Install one version after the other, acknowledge each; the program under `txcrash powercut`.
#
#     install_versions.sh UPDATER ROOT VERSIONS FROM TO
set -eu
version=$4
while [ "$version" -le "$5" ]; do
    "$1" "$2" "$3/$version" "$3/$version.values" >/dev/null
    echo "$version" >>"${TXCRASH_ACK:-/dev/null}"
    version=$((version + 1))
done
