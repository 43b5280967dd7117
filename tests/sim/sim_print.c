/* SPDX-License-Identifier: MIT */
/* Texts for messages: choices, trees, pending units. */
#include <inttypes.h>

#include "sim/sim_internal.h"

static const char kind_letters[] = "mpls"; /* by enum sim_choice_kind */

void sim_choice_format(const struct sim_choice *choice, char text[SIM_CHOICE_TEXT_SIZE])
{
    (void)snprintf(text, SIM_CHOICE_TEXT_SIZE, "%c:%" PRIx64 ":%" PRIx64,
                   kind_letters[choice->kind], choice->value, choice->tear);
}

bool sim_choice_parse(const char *text, struct sim_choice *choice)
{
    char letter = '\0';
    uint64_t value = 0;
    uint64_t tear = 0;
    if (sscanf(text, "%c:%" SCNx64 ":%" SCNx64, &letter, &value, &tear) != 3 || letter == '\0') {
        return false;
    }
    const char *at = strchr(kind_letters, letter);
    if (at == NULL) {
        return false;
    }
    *choice = (struct sim_choice){(enum sim_choice_kind)(at - kind_letters), value, tear};
    return true;
}

static void print_inode(const struct sim_table *table, uint32_t ino, const char *path, FILE *out)
{
    const struct sim_inode *inode = table->inodes[ino];
    (void)fprintf(out, "%6o %4u:%-4u %6" PRIu64 " i%-4u n%u m%" PRId64 " h%016" PRIx64 " %s%s%s\n",
                  inode->mode, inode->uid, inode->gid, inode->size, ino, inode->links,
                  inode->mtime_ns, sim_inode_hash(table->inodes[ino]), path,
                  inode->target != NULL ? " -> " : "",
                  inode->target != NULL ? inode->target->data : "");
    for (uint32_t i = 0; i < inode->entry_count; i++) {
        char below[SIM_PATH_MAX + 1];
        (void)snprintf(below, sizeof below, "%.*s/%s", (int)(sizeof below - SIM_NAME_MAX - 2), path,
                       inode->entries[i].name->data);
        print_inode(table, inode->entries[i].ino, below, out);
    }
}

void sim_print(struct txio *io, FILE *out)
{
    print_inode(sim_process_of(io)->sim->live, SIM_ROOT, "", out);
}
