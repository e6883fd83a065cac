import { Redis } from 'ioredis'
const r = new Redis('redis://127.0.0.1:7391')
await r.call('ACL','SETUSER','ada','on','>right','~treaty:*','+@all','-@admin','-xadd','-xgroup')
const { createRedisTransport } = await import('/tmp/w/redis/src/messaging/transports/redis/index.ts')
const topology = { channels: [{ address: 'orders', ordering: 'per-key' }], groups: [{ name: 'shop.billing', consumer: 'billing', subscriptions: [{ address: 'orders', types: '*' }], start: 'earliest', deliveriesMax: 5, deadLetter: { address: 'dead', retentionMs: 60000, onDead: 'next', onExpired: 'drop' } }] }
for (const rules of [[], ['+xadd','+xgroup']]) {
  if (rules.length) await r.call('ACL','SETUSER','ada',...rules)
  const t = createRedisTransport({ url: 'redis://ada:right@127.0.0.1:7391' })
  t.onError((e) => console.log('onError', e.code, e.message))
  try { await t.connect(); console.log(await t.ensure(topology, 'create'))
    const s = await t.subscribe({ group: 'shop.billing' }, (ds) => { console.log('came', ds.length); void t.settle(ds.map((delivery) => ({ outcome: 'ack', delivery }))) }); s.grant(10)
    console.log(await t.publish([{ id: 'a', address: 'orders', type: 'x', body: new Uint8Array([123,125]), headers: {}, contentType: 'application/json' }]))
    await new Promise((r) => setTimeout(r, 2500))
  } catch (e) { console.log(e.code, e.message, '|', e.hint, e.details) }
  await t.close({ drainMs: 0 })
}
await r.call('ACL','DELUSER','ada'); r.disconnect()
