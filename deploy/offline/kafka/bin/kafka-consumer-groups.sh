#!/bin/sh
exec java -Xmx256m -cp "/opt/kafka/libs/*" -Dlog4j2.configurationFile=/opt/kafka/config/tools-log4j2.yaml \
  org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"
