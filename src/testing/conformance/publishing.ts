import assert from 'node:assert/strict'
import { isTreatyError } from '../../core/errors.ts'
import type { OutgoingRecord } from '../../messaging/transport.ts'
import type { Behaviour } from './behaviour.ts'
import { all, needs, needsProcesses } from './behaviour.ts'
import { consume } from './intake.ts'
import type { Stage } from './stage.ts'
import { bytesOf } from './stage.ts'
import { waitUntil } from './waiting.ts'

function randomBytes(stage: Stage, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(stage.random() * 256))
}

async function roundTrip(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const largest = Math.min(1_000_000, stage.capabilities.messageBytesMax)
  const bodies = [
    new Uint8Array(0),
    bytesOf('x'),
    randomBytes(stage, 500),
    randomBytes(stage, largest),
    bytesOf('{"text":"Grüße, 世界 🌍\\u0000"}'),
    Uint8Array.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0a, 0x0d]),
  ]
  const headers = { 'x-plain': 'value', 'x-empty': '', 'x-text': 'a "b"; c=d, é 世' }
  const sent = bodies.map((body, at) =>
    scene.record({
      body,
      contentType: at === 4 ? 'application/json' : 'application/octet-stream',
      headers: stage.capabilities.headers ? headers : {},
    }),
  )
  const intake = await consume(scene.transport, scene.group)

  await scene.publish(sent)
  await intake.untilAcknowledged(sent.length)

  for (const record of sent) {
    const [delivery, second] = intake.of(record.id)
    assert(delivery, `message "${record.id}" of ${record.body.length} bytes came`)
    assert.equal(second, undefined, `message "${record.id}" came once`)
    const got = delivery.record
    assert(Buffer.from(got.body).equals(record.body), `${record.body.length} bytes came unchanged`)
    assert.deepEqual({ ...got.headers }, { ...record.headers })
    assert.equal(got.contentType, record.contentType)
    assert.equal(got.address, record.address)
    assert.equal(got.type, record.type)
    assert.equal(delivery.group, scene.group)
    assert.equal(delivery.attempt, 1)
    assert.equal(delivery.deliveryCount, 1)
    assert(got.position.length > 0, 'a delivery has a position')
    assert(Math.abs(got.publishedAt - Date.now()) < 120_000, 'publishedAt is an epoch in ms')
  }
}

async function durableBeforeResolved(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const promised: string[] = []
  for (let round = 0; round < stage.effort.killRounds; round += 1) {
    const child = await stage.child(scene)
    const prefix = stage.name('stream')
    await child.call({
      kind: 'stream',
      prefix,
      address: scene.address,
      type: scene.type,
      keys: 1000,
    })
    const enough = 3 + Math.floor(stage.random() * 40)
    await child.until((each) => each.of('published').length >= enough, `${enough} confirmations`)
    await child.kill()
    promised.push(...child.of('published').map((event) => event.messageId))
  }
  await stage.broker.restart?.()

  const transport = await scene.join()
  const intake = await consume(transport, scene.group, { credit: 200 })
  // Also what was published and never confirmed may come, so their number says nothing.
  const missing = () => {
    const came = new Set(intake.ids())
    return promised.filter((id) => !came.has(id))
  }
  await waitUntil(() => missing().length === 0, {
    boundMs: 20_000,
    what: () => `every confirmed message after the crash: ${missing().length} have not come`,
  })
}

function tooLarge(stage: Stage): Uint8Array {
  return new Uint8Array(stage.capabilities.messageBytesMax + 1)
}

async function perRecordFailures(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const batch: OutgoingRecord[] = [
    scene.record(),
    scene.record({ body: tooLarge(stage) }),
    scene.record(),
  ]
  const intake = await consume(scene.transport, scene.group)

  const results = await scene.transport.publish(batch)

  assert.equal(results.length, 3, 'one result for each record, in order')
  assert.equal('id' in (results[0] ?? {}) && (results[0] as { id: string }).id, batch[0]?.id)
  assert('error' in (results[1] ?? {}), 'the record that is too large is refused')
  assert.equal('id' in (results[2] ?? {}) && (results[2] as { id: string }).id, batch[2]?.id)
  await intake.until(2)
  assert.deepEqual(intake.ids().sort(), [batch[0]?.id, batch[2]?.id].sort())
}

async function refusesTooLarge(stage: Stage): Promise<void> {
  const scene = await stage.scene()
  const intake = await consume(scene.transport, scene.group)

  const [refused] = await scene.transport.publish([scene.record({ body: tooLarge(stage) })])
  const after = scene.record()
  await scene.publish([after])
  await intake.until(1)

  assert(refused && 'error' in refused, 'a message over messageBytesMax is refused')
  assert(isTreatyError(refused.error), 'the refusal is a TreatyError')
  assert.equal(refused.error.code, 'MESSAGE_TOO_LARGE')
  assert.deepEqual(intake.ids(), [after.id], 'the connection goes on')
}

const isBounded = ({ capabilities }: { capabilities: { messageBytesMax: number } }) =>
  capabilities.messageBytesMax <= 64 * 1_048_576
    ? undefined
    : 'messageBytesMax is over 64 MiB: too large to try'

export const publishing: readonly Behaviour[] = [
  {
    number: 1,
    statement: 'delivers bytes, headers and type exactly as they were published',
    boundMs: 20_000,
    run: roundTrip,
  },
  {
    number: 2,
    statement: 'resolves a publish only once the message survives kill -9',
    boundMs: 90_000,
    unless: all(needs('durable'), needsProcesses),
    run: durableBeforeResolved,
  },
  {
    number: 3,
    statement: 'reports the failure of one record of a batch and takes the others',
    boundMs: 15_000,
    unless: isBounded,
    run: perRecordFailures,
  },
  {
    number: 4,
    statement: 'refuses a message that is too large with a typed error and goes on',
    boundMs: 15_000,
    unless: isBounded,
    run: refusesTooLarge,
  },
]
