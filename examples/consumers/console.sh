#!/bin/sh
# Prints the committed events of a topic with Kafka's own console consumer, one a line: partition, offset, headers and
# key, with tabs between. Goes on until it is stopped; more arguments go to it, such as --timeout-ms 5000.
# With Kafka installed, kafka-console-consumer.sh takes the same arguments.
#
# usage: console.sh BROKERS TOPIC [ARGUMENT]...
set -eu
brokers=$1
topic=$2
shift 2
exec "$(dirname "$0")/../../tools/kafka" cli ConsoleConsumer --bootstrap-server "$brokers" --topic "$topic" \
    --from-beginning --isolation-level read_committed \
    --property print.partition=true --property print.offset=true --property print.headers=true \
    --property print.key=true --property print.value=false "$@"
