/* A bare parse + decide + pack + append loop, as the baseline for the batch form: bare_batch NDJSON
 * LOG GROUP
 *
 * Each line is parsed, its data goes through a Lua function that returns an event, the event is
 * packed, and each GROUP lines are written and synced at once. No schema, no state, no versions, no
 * index, no receipts, no HTTP. Prints commands per second. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform/file.h"
#include "platform/json.h"
#include "platform/lua.h"
#include "schemas/msgpack.h"
#include "tests/bench/measure.h"

#define INPUT_BYTES_MAX ((size_t)1 << 30)
#define ARENA_BYTES_MAX ((size_t)64 << 20)
#define LOG_BYTES       ((size_t)512 << 20)

static const char script[] = "function decide(state, data, ctx)\n"
                             "  if data.price_mills == 0 then return nil end\n"
                             "  return { type = 'LineAdded', data = data }\n"
                             "end\n";

struct loop {
    struct cairn_lua *lua;
    cairn_lua_ref decide;
    struct cairn_arena arena;
    struct cairn_buf group;
    int fd;
    uint64_t at;
};

static enum cairn_rc carry_out(struct loop *loop, struct cairn_slice line, struct cairn_err *err)
{
    struct cairn_value command;
    struct cairn_lua_result result;
    cairn_arena_reset(&loop->arena);
    enum cairn_rc rc = cairn_json_read(line, &loop->arena, &command, NULL, err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_lua_arg args[] = {
        {.kind = CAIRN_LUA_ARG_NIL},
        {.kind = CAIRN_LUA_ARG_VALUE, .value = cairn_value_at(&command, "data")}};
    rc = cairn_lua_call(loop->lua, loop->decide, args, 2, &loop->arena, &result, err);
    if (rc == CAIRN_OK && result.count > 0) {
        rc = cairn_msgpack_write(&result.values[0], &loop->group);
    }
    return rc;
}

static enum cairn_rc commit(struct loop *loop, struct cairn_err *err)
{
    if (loop->at + loop->group.size > LOG_BYTES) {
        loop->at = 0;
    }
    if (pwrite(loop->fd, loop->group.data, loop->group.size, (off_t)loop->at) !=
            (ssize_t)loop->group.size ||
        fdatasync(loop->fd) != 0) {
        return CAIRN_FAIL(err, CAIRN_EIO, "cannot append");
    }
    loop->at += loop->group.size;
    cairn_buf_truncate(&loop->group, 0);
    return CAIRN_OK;
}

static enum cairn_rc run(struct loop *loop, struct cairn_slice input, size_t group,
                         size_t *ret_count, struct cairn_err *err)
{
    size_t count = 0;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && input.size > 0) {
        rc = carry_out(loop, cairn_slice_take_line(&input), err);
        count++;
        if (rc == CAIRN_OK && (count % group == 0 || input.size == 0)) {
            rc = commit(loop, err);
        }
    }
    *ret_count = count;
    return rc;
}

static enum cairn_rc open_loop(struct loop *loop, const char *path, struct cairn_err *err)
{
    static char zeros[1 << 20];
    const char *const name[] = {"decide"};
    enum cairn_rc rc = cairn_lua_new(NULL, &loop->lua, err);
    rc = rc == CAIRN_OK ? cairn_lua_run(loop->lua, "bench.lua", CAIRN_SLICE_LIT(script), err) : rc;
    rc = rc == CAIRN_OK ? cairn_lua_find(loop->lua, 1, name, &loop->decide) : rc;
    loop->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    for (size_t at = 0; rc == CAIRN_OK && at < LOG_BYTES; at += sizeof(zeros)) {
        if (pwrite(loop->fd, zeros, sizeof(zeros), (off_t)at) != (ssize_t)sizeof(zeros)) {
            rc = CAIRN_FAIL(err, CAIRN_EIO, "cannot prepare %s", path);
        }
    }
    if (rc == CAIRN_OK && fsync(loop->fd) != 0) {
        rc = CAIRN_FAIL(err, CAIRN_EIO, "cannot sync %s", path);
    }
    return rc;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: bare_batch NDJSON LOG GROUP\n");
        return 2;
    }
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_buf input = {.max = INPUT_BYTES_MAX};
    struct loop loop = {
        .arena = {.max = ARENA_BYTES_MAX}, .group = {.max = ARENA_BYTES_MAX}, .fd = -1};
    size_t count = 0;
    enum cairn_rc rc = cairn_file_read(argv[1], &input, &err);
    rc = rc == CAIRN_OK ? open_loop(&loop, argv[2], &err) : rc;
    double begin = now_s();
    rc = rc == CAIRN_OK
             ? run(&loop, cairn_buf_slice(&input), strtoul(argv[3], NULL, 10), &count, &err)
             : rc;
    if (rc != CAIRN_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    (void)printf("%.0f\n", (double)count / (now_s() - begin));
    (void)close(loop.fd);
    (void)unlink(argv[2]);
    cairn_lua_free(loop.lua);
    cairn_arena_fini(&loop.arena);
    cairn_buf_fini(&loop.group);
    cairn_buf_fini(&input);
    return 0;
}
