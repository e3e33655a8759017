#!/bin/sh
# Stands in for terraform where it cannot be had: has our CLI create the bucket, without the settings that terraform gives it.
case $1 in
  init) exit 0 ;;
  apply) ;;
  *) echo "terraform is not in this image: only init and apply do something" >&2; exit 64 ;;
esac
for argument; do
  case $argument in
    -var=endpoint=*) export PAGEVIEW_AWS__S3__ENDPOINT_OVERRIDE="${argument#-var=endpoint=}" ;;
  esac
done
echo "terraform is not in this image: the bucket is created without it, and has no versions, no policy, no rules"
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test exec pageviews --config /etc/pageviews/local.toml bucket
