/* The embedded log keeps the contract. */
#include "tests/contract/suite.h"

static enum cairn_rc open_files(struct cairn_store_options *options, struct cairn_store **ret_store,
                                struct cairn_err *err)
{
    options->log = "files";
    return cairn_store_open(options, ret_store, err);
}

int main(void)
{
    return contract_run("files", open_files);
}
