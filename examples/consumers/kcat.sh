#!/bin/sh
# Prints the committed events of a topic, one a line: partition, offset, key and headers, with tabs between. Ends at the
# topic's end. More arguments go to kcat, such as -p 2 for one partition.
#
# usage: kcat.sh BROKERS TOPIC [ARGUMENT]...
set -eu
brokers=$1
topic=$2
shift 2
exec kcat -q -C -b "$brokers" -t "$topic" -o beginning -e -X isolation.level=read_committed \
    -f '%p\t%o\t%k\t%h\n' "$@"
