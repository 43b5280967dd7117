# SPDX-License-Identifier: MIT
# Protocol models for Spin, see README.md. Each is searched to its end, and all its mutants.
kernel_tests += tests/models/run_models.sh
EXTRA_DIST += \
	tests/models/README.md \
	tests/models/group_commit.pml \
	tests/models/locks.pml \
	tests/models/publish.pml \
	tests/models/recovery.pml \
	tests/models/trim.pml
