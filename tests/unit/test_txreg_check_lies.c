/* SPDX-License-Identifier: MIT */
/* The check finds every record that lies although its seal is right, and says what is wrong. */
#include "reg_fixture.h"

static void put_header(struct reg_writer *writer, uint64_t id, const struct reg_header *header)
{
    struct reg_key key;
    uint8_t record[REG_HEADER_MAX];
    reg_key_head(&key, id, REG_HEADER);
    reg_header_encode(header, record);
    ok(reg_writer_put(writer, &key, record, REG_HEADER_SIZE, ERR));
}

static void put_child(struct reg_writer *writer, uint64_t parent, const char *folded,
                      const char *name, uint64_t id)
{
    struct reg_key key;
    uint8_t record[100];
    struct reg_child child = {.id = id, .revision = 1};
    ok(reg_key_child(&key, parent, folded, strlen(folded), ERR));
    tx_fields_encode(reg_child_fields, &child, record);
    memcpy(record + REG_CHILD_SIZE, name, strlen(name));
    ok(reg_writer_put(writer, &key, record, REG_CHILD_SIZE + strlen(name), ERR));
}

static void put_value(struct reg_writer *writer, uint64_t id, const char *folded, const char *name,
                      uint64_t ordinal)
{
    struct reg_key key;
    uint8_t record[100];
    struct reg_value value = {.revision = 1, .ordinal = ordinal, .type = 3,
                              .name_size = (uint16_t)strlen(name)};
    ok(reg_key_value(&key, id, folded, strlen(folded), ERR));
    size_t size = reg_value_encode_head(&value, record);
    memcpy(record + size, name, strlen(name));
    ok(reg_writer_put(writer, &key, record, size + strlen(name), ERR));
}

/* A sound registry of three keys: root - "one" (2 values) - "two". */
static void put_sound(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 1});
    put_child(writer, 1, "one", "One", 2);
    put_header(writer, 2, &(struct reg_header){.parent = 1, .subkey_count = 1, .value_count = 2,
                                               .next_ordinal = 5});
    put_value(writer, 2, "a", "A", 0);
    put_value(writer, 2, "b", "b", 4);
    put_child(writer, 2, "two", "two", 3);
    put_header(writer, 3, &(struct reg_header){.parent = 2});
    writer->state.next_key_id = 4;
    writer->state.key_count = 3;
}

static void lie_nothing(struct reg_writer *writer)
{
    (void)writer;
}
static void lie_subkeys(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 2});
}
static void lie_values(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 2, .value_count = 1});
}
static void lie_parent(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 1});
}
static void lie_child(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "two", 2);
}
static void lie_fold(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "owt", 3);
}
static void lie_value_name(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "c", 0);
}
static void lie_ordinal(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "A", 4);
}
static void lie_late_ordinal(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "A", 5);
}
static void lie_orphan_value(struct reg_writer *writer)
{
    put_value(writer, 7, "a", "A", 0);
}
static void lie_orphan_key(struct reg_writer *writer)
{
    writer->state.next_key_id = 9;
    writer->state.key_count = 4;
    put_header(writer, 7, &(struct reg_header){.parent = 1});
}
static void lie_two_parents(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.subkey_count = 2});
    put_child(writer, 1, "two", "two", 3);
}
static void lie_next_id(struct reg_writer *writer)
{
    writer->state.next_key_id = 3;
}
static void lie_key_count(struct reg_writer *writer)
{
    writer->state.key_count = 4;
}
static void lie_used_pages(struct reg_writer *writer)
{
    writer->state.used_pages++;
    writer->state.page_count++;
}
static void lie_future(struct reg_writer *writer)
{
    put_header(writer, 3, &(struct reg_header){.parent = 2, .revision = UINT64_MAX});
}
static void lie_kind(struct reg_writer *writer)
{
    struct reg_key key;
    reg_key_head(&key, 3, REG_CHILD + 1);
    ok(reg_writer_put(writer, &key, key.bytes, 5, ERR));
}
static void lie_circle(struct reg_writer *writer)
{
    writer->state.next_key_id = 6;
    writer->state.key_count = 5;
    put_header(writer, 4, &(struct reg_header){.parent = 5, .subkey_count = 1});
    put_child(writer, 4, "five", "five", 5);
    put_header(writer, 5, &(struct reg_header){.parent = 4, .subkey_count = 1});
    put_child(writer, 5, "four", "four", 4);
}

static void lie_long_header(struct reg_writer *writer)
{
    reg_put_record(writer, 3, REG_HEADER, "more", "?", 1);
}
static void lie_short_header(struct reg_writer *writer)
{
    reg_put_record(writer, 3, REG_HEADER, "", "?", 1);
}
static void lie_short_child(struct reg_writer *writer)
{
    reg_put_record(writer, 2, REG_CHILD, "TWO", "?", 1);
}
static void lie_child_name(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "t\\o", 3);
}
static void lie_late_child(struct reg_writer *writer)
{
    uint8_t record[REG_CHILD_SIZE + 3];
    tx_fields_encode(reg_child_fields, &(struct reg_child){.id = 3, .revision = 9000}, record);
    memcpy(record + REG_CHILD_SIZE, "two", 3);
    reg_put_record(writer, 2, REG_CHILD, "TWO", record, sizeof(record));
}
static void lie_late_value(struct reg_writer *writer)
{
    uint8_t record[REG_VALUE_HEAD_MAX + 1];
    struct reg_value value = {.revision = 9000, .name_size = 1};
    size_t size = reg_value_encode_head(&value, record);
    record[size] = 'A';
    reg_put_record(writer, 2, REG_VALUE, "A", record, size + 1);
}
static void lie_value_text(struct reg_writer *writer)
{
    put_value(writer, 2, "a", "\xff", 0);
}
static void lie_value_pages(struct reg_writer *writer)
{
    uint8_t record[REG_VALUE_HEAD_MAX];
    struct reg_value value = {.name_size = 600, .is_out = true, .is_name_out = true, .ref = {1, 1}};
    reg_put_record(writer, 2, REG_LONG_VALUE, "0123456789abcdef", record,
            reg_value_encode_head(&value, record));
}
static void lie_id(struct reg_writer *writer)
{
    put_header(writer, 0, &(struct reg_header){.parent = 1});
    writer->state.key_count++;
}
static void lie_root_name(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.parent = 3, .subkey_count = 1});
    put_header(writer, 3, &(struct reg_header){.parent = 2, .subkey_count = 1});
    put_child(writer, 3, "root", "root", 1);
}
static void lie_root_parent(struct reg_writer *writer)
{
    put_header(writer, 1, &(struct reg_header){.parent = 3, .subkey_count = 1});
}
static void lie_unknown_child(struct reg_writer *writer)
{
    put_child(writer, 2, "two", "two", 99);
}
static void lie_unknown_parent(struct reg_writer *writer)
{
    put_child(writer, 0, "two", "two", 3);
}
static void lie_no_root(struct reg_writer *writer)
{
    struct reg_key key;
    reg_key_head(&key, 1, REG_HEADER);
    ok(reg_writer_remove(writer, &key, ERR));
}
static void lie_no_keys(struct reg_writer *writer)
{
    struct reg_key keys[7];
    for (unsigned i = 0; i < 3; i++) {
        reg_key_head(&keys[i], i + 1, REG_HEADER);
    }
    ok(reg_key_child(&keys[3], 1, "one", 3, ERR));
    ok(reg_key_child(&keys[4], 2, "two", 3, ERR));
    ok(reg_key_value(&keys[5], 2, "a", 1, ERR));
    ok(reg_key_value(&keys[6], 2, "b", 1, ERR));
    for (unsigned i = 0; i < 7; i++) {
        ok(reg_writer_remove(writer, &keys[i], ERR));
    }
}
/* Each key of the chain is in order, but there are too many of them. */
static void lie_depth(struct reg_writer *writer)
{
    uint64_t last = 3 + TXREG_DEPTH_MAX - 1;
    for (uint64_t id = 3; id <= last; id++) {
        put_header(writer, id, &(struct reg_header){.parent = id - 1, .subkey_count = id < last});
        if (id < last) {
            put_child(writer, id, "next", "next", id + 1);
        }
    }
    writer->state.next_key_id = last + 1;
    writer->state.key_count = last;
}
/* A list of pages that names what is no page of data: the root of before. */
static void lie_data(struct reg_writer *writer)
{
    uint8_t record[REG_VALUE_HEAD_MAX + 1];
    struct reg_page *list = reg_page_new(ERR);
    struct reg_value value = {.name_size = 1, .is_out = true, .size = 5000};
    uint32_t number;
    cr_assert_not_null(list);
    ok(reg_writer_take_number(writer, &number, ERR));
    reg_page_format(list, number, REG_PAGE_LIST, 1, 4096);
    tx_put16(list->data + REG_AT_COUNT, 2);
    tx_put32(list->data + REG_PAGE_HEAD, 2);
    uint8_t root[REG_PAGE_SIZE];
    cr_assert_eq(pread(writer->reg->fd, root, sizeof(root), 2 * REG_PAGE_SIZE), sizeof(root));
    memcpy(list->data + REG_PAGE_HEAD + 4, root + REG_AT_SEAL, 8);
    value.ref.page = number;
    value.ref.seal = reg_page_seal(list->data, number);
    ok(reg_writer_enqueue(writer, list, ERR));
    size_t size = reg_value_encode_head(&value, record);
    record[size] = 'A';
    reg_put_record(writer, 2, REG_VALUE, "A", record, size + 1);
}
static void lie_free(struct reg_writer *writer)
{
    reg_ring_push(writer->reg->shared, writer->state.root_page, 0);
}

static void keep_text(void *arg, const char *file, uint64_t offset, const char *text)
{
    struct tx_buf *texts = arg;
    (void)file;
    (void)offset;
    ok(tx_buf_append_text(texts, text, ERR));
}

static uint64_t faults_of(void (*lie)(struct reg_writer *writer), const char *wanted)
{
    TX_AUTO(tx_buf) texts = TX_BUF_INIT;
    TX_AUTO(reg_image) image;
    uint8_t token[KTM_TOKEN_SIZE];
    uint64_t faults = 0;
    reg_image_init(&image, NULL);
    {
        TX_AUTO(reg_writer) writer = {.reg = NULL};
        ok(reg_writer_init(&writer, image.reg, &image.state, 4096, 8192, ERR));
        put_sound(&writer);
        lie(&writer);
        ok(reg_writer_finish(&writer, ERR));
        reg_state_encode(&writer.state, token);
    }
    ok(reg_rm_steady(image.reg, 8192, token, ERR));
    ok(txreg_check(txio_posix(), image.temp.fd, keep_text, &texts, &faults, ERR));
    ok(tx_buf_put8(&texts, 0, ERR));
    cr_expect(faults == 0 || strstr((char *)texts.data, wanted) != NULL, "%s: %s", wanted,
              (char *)texts.data);
    return faults;
}

Test(txreg_check_lies, none_is_believed)
{
    static const struct {
        void (*lie)(struct reg_writer *writer);
        const char *text;
    } lies[] = {
        {lie_subkeys, "wrong count"}, {lie_values, "wrong count"},
        {lie_parent, "do not know each other"}, {lie_child, "do not know each other"},
        {lie_fold, "subkey is not where its name belongs"},
        {lie_value_name, "value is not where its name belongs"},
        {lie_ordinal, "one place in the order"}, {lie_late_ordinal, "without a key or a place"},
        {lie_orphan_value, "without a key or a place"}, {lie_orphan_key, "named by 0 parents"},
        {lie_two_parents, "do not know each other"}, {lie_next_id, "from the future"},
        {lie_key_count, "3 keys, the root slot says 4"}, {lie_used_pages, "pages in use"},
        {lie_future, "from the future"}, {lie_kind, "record of unknown kind"},
        {lie_circle, "not reached from the root"}, {reg_put_short_key, "records are not in order"},
        {lie_long_header, "record of unknown kind 1"}, {lie_short_header, "malformed header"},
        {lie_short_child, "malformed subkey"},
        {lie_child_name, "subkey is not where its name belongs"},
        {lie_late_child, "subkey from the future"}, {lie_late_value, "value from the future"},
        {lie_value_text, "value is not where its name belongs"},
        {lie_value_pages, "value is not where its name belongs"}, {lie_id, "from the future"},
        {lie_root_name, "do not know each other"}, {lie_root_parent, "3 keys"},
        {lie_unknown_child, "do not know each other"},
        {lie_unknown_parent, "do not know each other"}, {lie_no_root, "do not know each other"},
        {lie_no_keys, "0 keys"}, {lie_depth, "not reached from the root within 512 levels"},
        {lie_data, "not data of a large value"}, {lie_free, "listed as free, but in use"},
    };
    cr_assert_eq(faults_of(lie_nothing, ""), 0);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        cr_assert_gt(faults_of(lies[i].lie, lies[i].text), 0, "lie %zu is believed", i);
    }
}
