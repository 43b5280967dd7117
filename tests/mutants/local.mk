# SPDX-License-Identifier: MIT
# Planted bugs. scripts/mutants compiles the files that hold one and links one test program with
# them in the place of the library's; what the compiler and the linker are told is known here.
EXTRA_DIST += scripts/mutants tests/mutants/list.txt

mutants:
	$(AM_TESTS_ENVIRONMENT) MAKE='$(MAKE)' bash $(srcdir)/scripts/mutants $(MUTANTS)

mutant-compile:
	$(COMPILE) -DMUTANT_$(MUTANT) -w -c -o $(MUTANT_OBJECT) $(srcdir)/$(MUTANT_SOURCE)

# The mutant's objects come before the archives, which are not asked for these files then. Without
# libtool, which takes longer than the linker and most of the tests.
mutant-link:
	$(CCLD) $(AM_CFLAGS) $(CFLAGS) $(AM_LDFLAGS) $(LDFLAGS) -o $(MUTANT_PROGRAM) \
	  `echo $(MUTANT_OBJECTS) $(LIBS) | sed 's#\([a-z_]*\)\.la#.libs/\1.a#g'`

.PHONY: mutants mutant-compile mutant-link
