"""Other people's clients, driven by the interoperability tests.

client.py produce LIBRARY URL PLACE        reads [{"key"?, "headers"?, "contentType"?, "body": base64}, ...] from standard input
client.py consume LIBRARY URL PLACE COUNT  prints the same, as read from the broker

PLACE is a topic (aiokafka, confluent-kafka), a subject (nats-py), exchange/routing-key or queue (pika), a stream (redis).
"""
import asyncio
import base64
import json
import sys
import uuid
from urllib.parse import urlparse

limit_s = 30


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def seen(body, headers=None, key=None, content_type=None):
    message = {"body": base64.b64encode(body or b"").decode(), "headers": headers or {}}
    if key is not None:
        message["key"] = text(key)
    if content_type is not None:
        message["contentType"] = content_type
    return message


def body_of(message):
    return base64.b64decode(message["body"])


def host_of(url, port):
    parsed = urlparse(url)
    return f"{parsed.hostname}:{parsed.port or port}"


async def aiokafka_produce(url, topic, messages):
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=host_of(url, 9092))
    await producer.start()
    for message in messages:
        key = message.get("key")
        headers = [(name, value.encode()) for name, value in message.get("headers", {}).items()]
        await producer.send_and_wait(topic, body_of(message), key=key and key.encode(), headers=headers)
    await producer.stop()


async def aiokafka_consume(url, topic, count):
    from aiokafka import AIOKafkaConsumer

    consumer = AIOKafkaConsumer(topic, bootstrap_servers=host_of(url, 9092), auto_offset_reset="earliest")
    await consumer.start()
    found = []
    while len(found) < count:
        record = await consumer.getone()
        headers = {name: text(value) for name, value in record.headers}
        found.append(seen(record.value, headers, record.key))
    await consumer.stop()
    return found


async def confluent_produce(url, topic, messages):
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": host_of(url, 9092)})
    for message in messages:
        producer.produce(topic, body_of(message), key=message.get("key"), headers=message.get("headers", {}))
    producer.flush(limit_s)


async def confluent_consume(url, topic, count):
    from confluent_kafka import Consumer

    group = str(uuid.uuid4())
    consumer = Consumer({"bootstrap.servers": host_of(url, 9092), "group.id": group, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found = []
    while len(found) < count:
        record = consumer.poll(1)
        if record is None or record.error():
            await asyncio.sleep(0)
            continue
        headers = {name: text(value) for name, value in record.headers() or []}
        found.append(seen(record.value(), headers, record.key()))
    consumer.close()
    return found


async def nats_produce(url, subject, messages):
    import nats

    connection = await nats.connect(url)
    stream = connection.jetstream()
    for message in messages:
        await stream.publish(subject, body_of(message), headers=message.get("headers") or None)
    await connection.close()


async def nats_consume(url, subject, count):
    import nats

    connection = await nats.connect(url)
    subscription = await connection.jetstream().subscribe(subject, ordered_consumer=True)
    found = []
    while len(found) < count:
        record = await subscription.next_msg(timeout=limit_s)
        found.append(seen(record.data, dict(record.headers or {})))
    await connection.close()
    return found


async def pika_produce(url, place, messages):
    import pika

    exchange, _, key = place.partition("/")
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    for message in messages:
        properties = pika.BasicProperties(
            headers=message.get("headers"), content_type=message.get("contentType"), delivery_mode=2
        )
        channel.basic_publish(exchange, key, body_of(message), properties, mandatory=True)
    connection.close()


async def pika_consume(url, place, count):
    import pika

    exchange, _, key = place.partition("/")
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    for each in key.split(","):
        channel.queue_bind(queue, exchange, each)
    print(json.dumps({"ready": True}), flush=True)
    found = []
    for _, properties, body in channel.consume(queue, auto_ack=True, inactivity_timeout=limit_s):
        if properties is None:
            break
        headers = {name: text(value) for name, value in (properties.headers or {}).items()}
        found.append(seen(body, headers, None, properties.content_type))
        if len(found) == count:
            break
    connection.close()
    return found


async def redis_produce(url, stream, messages):
    import redis

    client = redis.Redis.from_url(url)
    for message in messages:
        client.xadd(stream, {**message.get("headers", {}), "body": body_of(message)})


async def redis_consume(url, stream, count):
    import redis

    client = redis.Redis.from_url(url)
    found, last = [], "0"
    while len(found) < count:
        for _, entries in client.xread({stream: last}, count=count, block=limit_s * 1000) or []:
            for last, fields in entries:
                body = fields.pop(b"body", b"")
                found.append(seen(body, {text(name): text(value) for name, value in fields.items()}))
    return found


async def main():
    verb, library, url, place = sys.argv[1:5]
    run = globals()[f"{library}_{verb}"]
    if verb == "produce":
        await asyncio.wait_for(run(url, place, json.load(sys.stdin)), limit_s)
        print("{}")
    else:
        print(json.dumps(await asyncio.wait_for(run(url, place, int(sys.argv[5])), limit_s)))


asyncio.run(main())
