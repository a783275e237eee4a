/* The log's description in its control topic: reading it, and changing it one maker at a time. For
 * the kafka*.c of this folder alone. */
#ifndef CAIRN_EVENTSTORE_KAFKA_DESCRIPTION_H
#define CAIRN_EVENTSTORE_KAFKA_DESCRIPTION_H

#include "eventstore/kafka_client.h"
#include "eventstore/kafka_layout.h"

#define CAIRN_KAFKA_DESCRIPTION_KEY "log"

/* Read the control topic to its end. *ret_found: there is a description, and ret_layout has it.
 * errors: ETIMEDOUT, EMALFORMED, EUNSUPPORTED, EFORBIDDEN, EIO, ENOMEM. thread: any; blocks. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_description_read(const struct cairn_kafka_options *options, const char *topic,
                             int timeout_ms, bool *ret_found, struct cairn_kafka_layout *ret_layout,
                             struct cairn_err *err);

/* Makes of what is there (found, layout) what should be there. *ret_changed: it is to be written. A
 * failure ends the change. Called again where another maker was faster. */
typedef enum cairn_rc (*cairn_kafka_change_fn)(void *self, bool found,
                                               struct cairn_kafka_layout *layout, bool *ret_changed,
                                               struct cairn_err *err);
/* Change the description in a transaction of an id that all makers share: who comes later fences
 * who came before, and sees what that one has written. errors: as read, and what change says. */
CAIRN_MUST_CHECK enum cairn_rc
cairn_kafka_description_change(const struct cairn_kafka_options *options, const char *topic,
                               int timeout_ms, cairn_kafka_change_fn change, void *self,
                               struct cairn_kafka_layout *ret_layout, struct cairn_err *err);

#endif
