"""The window core: pure, no Kafka, no clock. Time is event time or an argument."""
