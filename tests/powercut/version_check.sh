#!/bin/sh
# SPDX-License-Identifier: MIT
# The check: tree and registry are wholly those of the version that was acknowledged last, or of the
# next one.
#
#     version_check.sh STATE_OF ROOT STATES ACKS
#
# STATES has one line for each version, from 1, as STATE_OF prints it.
acked=1
while read -r line; do
    acked=$line
done <"$4"
state=$("$1" "$2" 2>&1) || {
    echo "after version $acked the store does not open: $state"
    exit 1
}
version=0
while read -r line; do
    version=$((version + 1))
    if [ "$line" = "$state" ]; then
        [ "$version" -eq "$acked" ] || [ "$version" -eq $((acked + 1)) ] || {
            echo "version $acked was acknowledged, version $version is there"
            exit 1
        }
        exit 0
    fi
done <"$3"
echo "a mixture after version $acked: $state"
exit 1
