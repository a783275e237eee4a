/* What the operator passes through to librdkafka: one "name=value" a line. For the kafka*.c of this
 * folder alone. Pure functions, but for the files that values name. */
#ifndef CAIRN_EVENTSTORE_KAFKA_PROPERTY_H
#define CAIRN_EVENTSTORE_KAFKA_PROPERTY_H

#include "platform/bytes.h"

#define CAIRN_KAFKA_PROPERTIES_MAX       256
#define CAIRN_KAFKA_PROPERTY_NAME_MAX    128            /* bytes */
#define CAIRN_KAFKA_PROPERTY_VALUE_MAX   (256u * 1024u) /* bytes: a chain of certificates */
#define CAIRN_KAFKA_PROPERTY_FILE_PREFIX "file:"

/* Takes a property; both texts are NUL-ended, not empty (name), and wiped behind the call. */
typedef enum cairn_rc (*cairn_kafka_property_fn)(void *self, const char *name, const char *value,
                                                 struct cairn_err *err);

/* Every property of text (NULL: none), in order; empty lines are passed over. A value "file:PATH"
 * is replaced by the content of PATH without its last line end. errors: EINVAL (a line without '=',
 * an empty or too long name, a property that is not the operator's to set, too many), ENOENT, EIO,
 * ETOOBIG (the file), ENOMEM, and what take says. No error shows a value. */
CAIRN_MUST_CHECK enum cairn_rc cairn_kafka_properties_read(const char *text,
                                                           cairn_kafka_property_fn take, void *self,
                                                           struct cairn_err *err);

/* Does the log's promise rest on it, so that the operator may not set it? By any of its names. */
bool cairn_kafka_property_is_fixed(const char *name);

#endif
