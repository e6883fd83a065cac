import {
  Compatibility,
  JsonDeserializer,
  JsonSerializer,
  RestError,
  SchemaRegistryClient,
  SerdeType,
} from '@confluentinc/schemaregistry'
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Served, serve } from './served.ts'

/** The clients that people have, unchanged, against the facade: what they are told is what they expect. */

const order = {
  $schema: 'http://json-schema.org/draft-07/schema#',
  $id: 'https://shop.example/order.json',
  title: 'Order',
  type: 'object',
  properties: { orderId: { type: 'string' }, amount: { type: 'integer' } },
  required: ['orderId', 'amount'],
  additionalProperties: false,
}
/** Reads all that was written before. */
const wider = { ...order, properties: { ...order.properties, amount: { type: 'number' } } }
const narrower = { ...order, properties: { ...order.properties, amount: { type: 'boolean' } } }
const info = (schema: object) => ({ schemaType: 'JSON', schema: JSON.stringify(schema) })

let served: Served
beforeEach(async () => {
  served = await serve()
})
afterEach(() => served.close())

describe('@confluentinc/schemaregistry', () => {
  const connect = (more: object = {}) =>
    new SchemaRegistryClient({ baseURLs: [served.confluent], maxRetries: 0, ...more })

  test('registers, looks up, evolves, and is refused', async () => {
    const client = connect()
    const id = await client.register('orders-value', info(order))
    const again = await connect().register('orders-value', info(order))

    expect(again).toBe(id)
    expect(await connect().getId('orders-value', info(order))).toBe(id)
    expect(await connect().getVersion('orders-value', info(order))).toBe(1)
    expect(await connect().getLatestSchemaMetadata('orders-value')).toMatchObject({
      id,
      version: 1,
      subject: 'orders-value',
      schemaType: 'JSON',
    })
    expect(await client.testSubjectCompatibility('orders-value', info(wider))).toBe(true)
    expect(await client.testCompatibility('orders-value', 1, info(narrower))).toBe(false)
    expect(await client.register('orders-value', info(wider))).not.toBe(id)
    const refused = await client.register('orders-value', info(narrower)).catch((error) => error)
    expect(refused).toBeInstanceOf(RestError)
    expect(refused).toMatchObject({ status: 409, errorCode: 409 })
    expect(await client.getAllVersions('orders-value')).toEqual([1, 2])
    expect(await client.getAllSubjects()).toEqual(['orders-value'])
    expect(await connect().getBySubjectAndId('orders-value', id)).toMatchObject(info(order))
    const full = await connect().registerFullResponse('orders-value', info(order))
    expect(await connect().getByGuid(String(full.guid))).toMatchObject(info(order))
  })

  test('sets levels, and reads them back', async () => {
    const client = connect()

    expect(await client.getDefaultCompatibility()).toBe(Compatibility.BACKWARD)
    await client.updateDefaultCompatibility(Compatibility.FULL_TRANSITIVE)
    expect(await client.getDefaultCompatibility()).toBe(Compatibility.FULL_TRANSITIVE)
    await client.updateCompatibility('orders-value', Compatibility.NONE)
    expect(await client.getCompatibility('orders-value')).toBe(Compatibility.NONE)
    await client.register('orders-value', info(order))
    expect(await client.register('orders-value', info(narrower))).toBe(2)
  })

  test('deletes softly, then for good', async () => {
    const client = connect()
    await client.register('orders-value', info(order))
    await client.register('orders-value', info(wider))

    expect(await client.deleteSubjectVersion('orders-value', 1)).toBe(1)
    expect(await connect().getAllVersions('orders-value')).toEqual([2])
    expect(await client.deleteSubject('orders-value')).toEqual([2])
    expect(await connect().getAllSubjects()).toEqual([])
    expect(await client.deleteSubject('orders-value', true)).toEqual([1, 2])
    await expect(connect().getAllVersions('orders-value')).rejects.toMatchObject({
      errorCode: 40401,
    })
  })

  test('serialises and deserialises, also what another version wrote', async () => {
    const client = connect()
    const serializer = new JsonSerializer(client, SerdeType.VALUE, {
      useLatestVersion: true,
      validate: true,
    })
    const deserializer = new JsonDeserializer(connect(), SerdeType.VALUE, { validate: true })
    await client.register('orders-value', info(order))

    const bytes = await serializer.serialize('orders', { orderId: 'o-1', amount: 1990 })
    await connect().register('orders-value', info(wider))

    expect([bytes[0], bytes.readInt32BE(1)]).toEqual([0, 1])
    expect(await deserializer.deserialize('orders', bytes)).toEqual({
      orderId: 'o-1',
      amount: 1990,
    })
    await expect(serializer.serialize('orders', { orderId: 1 })).rejects.toThrow()
  })

  test('follows references from one subject to another', async () => {
    const client = connect()
    const money = {
      $id: 'money.json',
      type: 'object',
      properties: { amount: { type: 'integer' } },
      required: ['amount'],
      additionalProperties: false,
    }
    await client.register('money', info(money))
    const priced = {
      type: 'object',
      properties: { total: { $ref: 'money.json' } },
      required: ['total'],
      additionalProperties: false,
    }
    const references = [{ name: 'money.json', subject: 'money', version: 1 }]
    await client.register('orders-value', { ...info(priced), references })
    const serializer = new JsonSerializer(client, SerdeType.VALUE, {
      useLatestVersion: true,
      validate: true,
    })

    expect(await connect().getLatestSchemaMetadata('orders-value')).toMatchObject({ references })
    const bytes = await serializer.serialize('orders', { total: { amount: 5 } })
    const deserializer = new JsonDeserializer(connect(), SerdeType.VALUE, { validate: true })
    expect(await deserializer.deserialize('orders', bytes)).toEqual({ total: { amount: 5 } })
    await expect(serializer.serialize('orders', { total: { amount: 'x' } })).rejects.toThrow()
    await expect(client.deleteSubject('money')).rejects.toMatchObject({ errorCode: 42206 })
  })

  test('signs in with user and key where keys are configured', async () => {
    await served.close()
    const { Secret } = await import('../../src/core/secret.ts')
    const key = 'a-key-of-some-length-for-the-test'
    served = await serve({
      keys: [{ name: 'ci', scopes: ['read', 'write'], key: new Secret('secret://env/KEY', key) }],
    })
    const userInfo = { credentialsSource: 'USER_INFO', userInfo: `ci:${key}` } as const

    await expect(connect().getAllSubjects()).rejects.toMatchObject({ status: 401 })
    const client = connect({ basicAuthCredentials: userInfo })

    expect(await client.register('orders-value', info(order))).toBe(1)
  })
})

describe('@kafkajs/confluent-schema-registry', () => {
  const connect = () => new SchemaRegistry({ host: served.confluent, retry: { retries: 0 } })
  const json = (schema: object) => ({
    type: SchemaType.JSON as const,
    schema: JSON.stringify(schema),
  })

  test('registers, looks up, encodes, decodes, evolves, and is refused', async () => {
    const registry = connect()
    const options = { subject: 'orders-value', compatibility: COMPATIBILITY.BACKWARD } as const
    const { id } = await registry.register(json(order), options)

    expect(await connect().register(json(order), options)).toMatchObject({ id })
    expect(await connect().getRegistryIdBySchema('orders-value', json(order))).toBe(id)
    const bytes = await registry.encode(id, { orderId: 'o-1', amount: 1990 })
    expect(await connect().decode(bytes)).toEqual({ orderId: 'o-1', amount: 1990 })
    await expect(registry.encode(id, { orderId: 1 })).rejects.toThrow('invalid payload')
    const next = await registry.register(json(wider), options)
    expect(next.id).not.toBe(id)
    expect(await connect().getLatestSchemaId('orders-value')).toBe(next.id)
    await expect(registry.register(json(narrower), options)).rejects.toMatchObject({ status: 409 })
    // The client sets the level itself after the first registration.
    expect((await served.call('GET', '/confluent/config/orders-value')).body).toEqual({
      compatibilityLevel: 'BACKWARD',
    })
  })

  test('is told of another level', async () => {
    const registry = connect()
    await registry.register(json(order), { subject: 'orders-value' })

    const refused = registry.register(json(wider), {
      subject: 'orders-value',
      compatibility: COMPATIBILITY.FULL,
    })

    await expect(refused).rejects.toThrow('Compatibility does not match')
  })

  test('follows references', async () => {
    const registry = connect()
    const money = { $id: 'money.json', type: 'object', properties: { amount: { type: 'integer' } } }
    await registry.register(json(money), { subject: 'money' })
    const priced = {
      $id: 'order.json',
      type: 'object',
      properties: { total: { $ref: 'money.json' } },
    }
    const references = [{ name: 'money.json', subject: 'money', version: 1 }]
    const { id } = await registry.register(
      { ...json(priced), references },
      { subject: 'orders-value' },
    )

    const bytes = await connect().encode(id, { total: { amount: 1 } })

    expect(await connect().decode(bytes)).toEqual({ total: { amount: 1 } })
    await expect(connect().encode(id, { total: { amount: 'x' } })).rejects.toThrow()
  })

  test('works at the root too, for those that cannot take a path', async () => {
    await served.close()
    served = await serve({ confluentAt: '/' })

    const { id } = await connect().register(json(order), { subject: 'orders-value' })

    expect(id).toBe(1)
    expect((await served.call('GET', '/subjects')).body).toEqual(['orders-value'])
  })
})
