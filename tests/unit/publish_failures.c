/* SPDX-License-Identifier: MIT */
#include "publish_failures.h"

#include "failing_alloc.h"

/* Calls whose failure is no matter of files. */
#define NEVER                                                                                      \
    (LAYER_BIT(lock) | LAYER_BIT(wake) | LAYER_BIT(wait) | LAYER_BIT(process_id) |                 \
     LAYER_BIT(realtime_ns) | LAYER_BIT(monotonic_ns))

static struct {
    uint64_t left; /* calls until the one that fails; 0: none does */
    int os_errno;
    bool at_close; /* of the call on its way: closed it is, whatever it says */
    bool failed;
    char where[256];
} failing;

static void fail_before(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if ((NEVER >> call->op & 1) != 0 || failing.left == 0 || --failing.left > 0) {
        return;
    }
    failing.failed = true;
    (void)snprintf(failing.where, sizeof(failing.where), "%s %s", layer_op_name(call->op),
                   call->where != NULL ? call->where : "");
    failing.at_close = call->op == LAYER_close;
    if (!failing.at_close) {
        call->done = true;
        call->result = -failing.os_errno;
    }
}

static void fail_after(struct layer *layer, struct layer_call *call)
{
    (void)layer;
    if (failing.at_close) {
        failing.at_close = false;
        call->result = -failing.os_errno;
    }
}

void pub_fail_begin(struct publish_fixture *f, enum pub_failing what, uint64_t nth, int os_errno)
{
    failing.failed = false;
    failing.where[0] = '\0';
    failing_alloc.failed = 0;
    if (what == PUB_ALLOCATIONS) {
        failing_alloc.left = nth - 1;
        return;
    }
    failing.left = nth;
    failing.os_errno = os_errno;
    f->layer.before = fail_before;
    f->layer.after = fail_after;
}

bool pub_fail_end(struct publish_fixture *f)
{
    failing.left = 0;
    failing_alloc.left = SIZE_MAX;
    f->layer.before = NULL;
    f->layer.after = NULL;
    return failing.failed || failing_alloc.failed > 0;
}

void pub_come_anew(struct publish_fixture *f)
{
    txfs_publisher_close(f->fs);
    must(txfs_publisher_open(f->fs, &f->err));
}

static void check_status(enum tx_status status, bool failed, bool told, enum pub_failing what,
                         uint64_t nth, const char *text)
{
    const char *name = tx_status_name(status);
    told = told && strncmp(failing.where, "close ", 6) != 0; /* of what was only read */
    cr_assert(failed || status == TX_OK, "%s without a failure: %s", name, text);
    cr_assert(!failed || !told || status != TX_OK, "failure %llu was not told: %s",
              (unsigned long long)nth, failing.where);
    cr_assert(what == PUB_CALLS || status == (failed ? TX_ENOMEM : TX_OK), "%llu: %s: %s",
              (unsigned long long)nth, name, text);
}

/* One round; `wanted` is what has to stand there, NULL in the round that finds out. */
static char *play(const struct pub_scene *scene, enum pub_failing what, uint64_t nth, int os_errno,
                  const char *wanted, bool *failed)
{
    PUBLISH_FIXTURE(f, 8);
    char when[400];
    scene->prepare(f);
    if (scene->as_first) {
        pub_come_anew(f);
    }
    pub_fail_begin(f, what, nth, os_errno);
    enum tx_status status = scene->act(f);
    *failed = pub_fail_end(f);
    check_status(status, *failed, what == PUB_ALLOCATIONS, what, nth, f->err.text);
    (void)snprintf(when, sizeof(when), "failure %llu (%s)", (unsigned long long)nth, failing.where);
    if (status != TX_OK) {
        status = scene->act(f);
        cr_assert_eq(status, TX_OK, "after %s: %s: %s", when, tx_status_name(status), f->err.text);
    }
    scene->finish(f);
    char *is = pub_dump(f);
    if (!scene->any_end) {
        pub_assert_same(is, wanted != NULL ? wanted : is, when);
        cr_assert_eq(f->foreign_count, 0, "%s: took ours for %s", when, f->foreign_path[0]);
    }
    return is;
}

static char *play_without_leaks(const struct pub_scene *scene, enum pub_failing what, uint64_t nth,
                                int os_errno, const char *wanted, bool *failed)
{
    int descriptors = open_descriptors();
    failing_alloc_begin(SIZE_MAX);
    char *is = play(scene, what, nth, os_errno, wanted, failed);
    (void)failing_alloc_end();
    cr_assert_eq(failing_alloc.in_use, 0, "failure %llu (%s) leaves %ld allocations",
                 (unsigned long long)nth, failing.where, failing_alloc.in_use);
    cr_assert_eq(open_descriptors(), descriptors, "failure %llu (%s)", (unsigned long long)nth,
                 failing.where);
    return is;
}

static unsigned look_each(const struct pub_scene *scene, enum pub_failing what, int os_errno)
{
    PUBLISH_FIXTURE(f, 8);
    bool failed = true;
    unsigned count = 0;
    scene->prepare(f);
    must(scene->act(f)); /* opens what stays open */
    failing_alloc_begin(SIZE_MAX);
    pub_come_anew(f);
    for (uint64_t nth = 1; failed; nth++) {
        int descriptors = open_descriptors();
        long in_use = failing_alloc.in_use;
        pub_fail_begin(f, what, nth, os_errno);
        enum tx_status status = scene->act(f);
        failed = pub_fail_end(f);
        check_status(status, failed, true, what, nth, f->err.text);
        pub_come_anew(f);
        cr_assert_eq(failing_alloc.in_use, in_use, "%llu (%s)", (unsigned long long)nth,
                     failing.where);
        cr_assert_eq(open_descriptors(), descriptors);
        count++;
    }
    (void)failing_alloc_end();
    scene->finish(f);
    return count;
}

unsigned pub_fail_each(const struct pub_scene *scene, enum pub_failing what, int os_errno)
{
    temp_dirs_in_memory();
    if (scene->only_looks) {
        return look_each(scene, what, os_errno);
    }
    bool failed = true;
    unsigned count = 0;
    char *wanted = play_without_leaks(scene, what, UINT64_MAX, os_errno, NULL, &failed);
    for (failed = true; failed; count++) {
        free(play_without_leaks(scene, what, count + 1, os_errno, wanted, &failed));
    }
    free(wanted);
    return count;
}
