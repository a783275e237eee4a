/* What every backend of the event store must do. */
#ifndef CAIRN_TESTS_CONTRACT_SUITE_H
#define CAIRN_TESTS_CONTRACT_SUITE_H

#include "tests/contract/fixture.h"

/* Run the suite; returns cmocka's count of failures. */
int contract_run(const char *name, open_fn open);
/* Those of its tests that look at what a record gives back. */
int contract_run_records(const char *name, open_fn open);

#endif
