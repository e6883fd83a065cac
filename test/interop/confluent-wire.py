"""confluent-kafka with its JSON serializer and deserializer.

confluent-wire.py write URL REGISTRY TOPIC < [value, ...]     confluent-wire.py read URL REGISTRY TOPIC COUNT
"""
import json
import sys
import uuid
from urllib.parse import urlparse

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

verb, url, registry_url, topic = sys.argv[1:5]
server = {"bootstrap.servers": urlparse(url).netloc}
registry = SchemaRegistryClient({"url": registry_url})
context = SerializationContext(topic, MessageField.VALUE)

if verb == "write":
    latest = registry.get_latest_version(f"{topic}-value").schema.schema_str
    serialize = JSONSerializer(latest, registry, conf={"auto.register.schemas": False, "use.latest.version": True})
    producer = Producer(server)
    for value in json.load(sys.stdin):
        producer.produce(topic, serialize(value, context))
    producer.flush(30)
    print("{}")
else:
    deserialize = JSONDeserializer(None, schema_registry_client=registry)
    consumer = Consumer({**server, "group.id": str(uuid.uuid4()), "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found = []
    while len(found) < int(sys.argv[5]):
        record = consumer.poll(1)
        if record is not None and not record.error():
            found.append(deserialize(record.value(), context))
    consumer.close()
    print(json.dumps(found))
