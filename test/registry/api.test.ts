import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { sampleSource } from './sample-contract.ts'
import { type Served, serve } from './served.ts'

let served: Served
beforeEach(async () => {
  served = await serve()
})
afterEach(() => served.close())

describe('contracts', () => {
  test('are registered, found and refused over HTTP', async () => {
    const first = await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    const again = await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    const changed = { ...sampleSource('2.1.0'), purpose: 'Something else.' }
    const exists = await served.call('POST', '/api/contracts', changed)
    const broken = await served.call('POST', '/api/contracts', sampleSource('2.2.0', 'string'))

    expect([first.status, first.body.created]).toEqual([201, true])
    expect([again.status, again.body.created]).toEqual([200, false])
    expect([exists.status, exists.body.code]).toEqual([409, 'CONTRACT_VERSION_EXISTS'])
    expect([broken.status, broken.body.code]).toEqual([409, 'CONTRACT_INCOMPATIBLE'])
    expect(broken.body.findings).toContainEqual(
      expect.objectContaining({
        consumer: 'billing',
        witness: expect.objectContaining({
          total: { amount: expect.any(String), currency: expect.any(String) },
        }),
      }),
    )
    const { hash, href } = first.body.version
    expect((await served.call('GET', '/api/contracts')).body.items).toMatchObject([
      { id: 'shop.orders', version: '2.1.0', hash, href, events: ['order.placed'] },
    ])
    expect(
      (await served.call('GET', '/api/contracts/shop.orders/versions')).body.items,
    ).toHaveLength(1)
    expect((await served.call('GET', href)).body).toMatchObject({ id: 'shop.orders', hash })
    expect((await served.call('GET', `/api/hashes/${hash}`)).body).toMatchObject({
      version: '2.1.0',
    })
    expect((await served.call('GET', '/api/contracts/nope/versions')).status).toBe(404)
  })

  test('are judged without being kept', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))

    const fine = await served.call('POST', '/api/contracts?dryRun=true', sampleSource('3.0.0'))
    const broken = await served.call(
      'POST',
      '/api/contracts?dryRun=true',
      sampleSource('2.2.0', 'string'),
    )

    expect([fine.status, fine.body]).toEqual([200, { findings: [] }])
    expect(broken.status).toBe(409)
    expect((await served.call('GET', '/api/audit')).body.items).toHaveLength(1)
  })

  test('are reviewed by digest', async () => {
    const { body } = await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    const path = '/api/contracts/shop.orders/versions/2.1.0/reviews'

    const stale = await served.call('POST', path, { consumer: 'billing', digest: 'sha256:0' })
    const done = await served.call('POST', path, {
      consumer: 'billing',
      digest: body.version.hash,
      by: 'ada@example.com',
    })

    expect([stale.status, stale.body.code]).toEqual([409, 'REVIEW_STALE'])
    expect(done.body.reviews).toMatchObject([{ consumer: 'billing', by: 'ada@example.com' }])
  })

  test('cannot be registered by a page of another origin, nor without a key or origin', async () => {
    const foreign = await served.call('POST', '/api/contracts', sampleSource('2.1.0'), {
      origin: 'https://evil.example',
    })
    const silent = await fetch(`${served.url}/api/contracts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(sampleSource('2.1.0')),
    })

    expect([foreign.status, silent.status]).toEqual([403, 403])
  })
})

describe('discovery', () => {
  test('gives every schema an address of its own, by type, version and $id, with an ETag', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    await served.call('POST', '/api/contracts', sampleSource('3.0.0', 'string'))

    const known = await served.call('GET', '/.well-known/treaty')
    const path = known.body.contracts[0].schemas['order.placed']
    const schema = await served.call('GET', path)
    const tag = String(schema.headers.get('etag'))
    const old = await served.call('GET', '/api/schemas/order.placed/versions/2.1.0')
    const id = encodeURIComponent('https://shop.example/order.placed.json')

    expect(path).toBe('/api/schemas/order.placed/versions/3.0.0')
    expect(schema.headers.get('content-type')).toContain('application/schema+json')
    expect(schema.body.properties.total.properties.amount).toEqual({ type: 'string' })
    expect(old.body.properties.total.properties.amount).toEqual({ type: 'integer' })
    expect((await served.call('GET', '/api/schemas/order.placed')).body).toEqual(schema.body)
    expect((await served.call('GET', `/api/schemas?id=${id}`)).body).toEqual(schema.body)
    const again = await served.call('GET', path, undefined, { 'if-none-match': tag })
    expect([again.status, again.body]).toEqual([304, ''])
    const same = await served.call('GET', '/.well-known/treaty', undefined, {
      'if-none-match': String(known.headers.get('etag')),
    })
    expect(same.status).toBe(304)
    expect((await served.call('GET', '/api/schemas/order.nope')).body.code).toBe(
      'EVENT_NOT_REGISTERED',
    )
  })

  test('finds events by a part of their name, with producers and consumers', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    await served.call('POST', '/api/contracts', sampleSource('2.1.1'))

    const found = await served.call('GET', '/api/events?name=PLACED')
    const all = await served.call('GET', '/api/events?allVersions=true')

    expect(found.body.items).toMatchObject([
      {
        name: 'order.placed',
        kind: 'event',
        version: '2.1.1',
        producers: ['order-service'],
        consumers: ['billing'],
        schema: '/api/schemas/order.placed/versions/2.1.1',
      },
    ])
    expect(all.body.items).toHaveLength(2)
  })
})

describe('consumers and deployments', () => {
  test('are recorded, listed and taken back', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    const entry = {
      accepts: '>=2',
      events: { 'order.placed': { needs: ['total.currency'], handling: 'Counts it.' } },
    }
    const which = { contract: 'shop.orders', consumer: 'stats', version: 'abc' }
    const pushed = await served.call('POST', '/api/consumers', {
      ...which,
      environment: 'prod',
      entry,
    })
    const run = { service: 'stats', version: 'abc', environment: 'prod' }
    await served.call('POST', '/api/environments', { name: 'prod', production: true })
    const deployed = await served.call('POST', '/api/deployments', {
      ...run,
      contracts: { 'shop.orders': '2.1.0' },
    })

    expect(pushed.body).toMatchObject({
      since: '2.1.0',
      by: 'local',
      views: { 'order.placed': {} },
    })
    expect(deployed.body).toMatchObject({ ...run, contracts: { 'shop.orders': '2.1.0' } })
    expect((await served.call('GET', '/api/consumers?environment=prod')).body.items).toHaveLength(1)
    expect((await served.call('GET', '/api/deployments?service=stats')).body.items).toHaveLength(1)
    expect((await served.call('GET', '/api/environments/prod')).body.production).toBe(true)
    const path = '/api/deployments/prod/stats/abc'
    expect((await served.call('DELETE', path)).body).toEqual({ done: 'undeployed' })
    expect((await served.call('DELETE', path)).body.code).toBe('DEPLOYMENT_NOT_FOUND')
    const query = new URLSearchParams(which)
    expect((await served.call('DELETE', `/api/consumers?${query}`)).status).toBe(200)
    expect((await served.call('DELETE', `/api/consumers?${query}`)).status).toBe(404)
    const audit = await served.call('GET', '/api/audit?limit=2')
    expect(audit.body.items).toMatchObject([
      { position: 1, change: { kind: 'contract-registered', by: 'local' } },
      { position: 2, change: { kind: 'consumer-registered' } },
    ])
    const rest = await served.call('GET', `/api/audit?cursor=${audit.body.next}`)
    expect(rest.body.items.map((one: { change: { kind: string } }) => one.change.kind)).toEqual([
      'environment-set',
      'deployed',
      'undeployed',
      'consumer-withdrawn',
    ])
  })
})

describe('questions', () => {
  test('whom a change would hurt, and which version it may carry', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))

    const changed = await served.call('POST', '/api/impact', sampleSource('2.2.0', 'string'))
    const same = await served.call('POST', '/api/impact', sampleSource('2.1.1'))
    const first = await served.call('POST', '/api/impact', {
      ...sampleSource('1.0.0'),
      id: 'shop.new',
    })

    expect(changed.body).toMatchObject({
      before: '2.1.0',
      verdict: 'breaking',
      bump: 'major',
      nextVersion: '3.0.0',
      consumers: { billing: { verdict: 'breaking' } },
    })
    expect(same.body).toMatchObject({ verdict: 'compatible', findings: [] })
    expect([first.status, first.body.verdict]).toEqual([200, 'compatible'])
    expect((await served.call('GET', '/api/audit')).body.items).toHaveLength(1)
  })

  test('whether a version may be deployed beside what runs', async () => {
    await served.call('POST', '/api/contracts', sampleSource('2.1.0'))
    await served.call('POST', '/api/contracts', sampleSource('3.0.0', 'string'))
    const run = (service: string, contract: string) => ({
      service,
      version: '1',
      environment: 'prod',
      contracts: { 'shop.orders': contract },
    })
    await served.call('POST', '/api/deployments', run('billing', '2.1.0'))

    const fine = await served.call('POST', '/api/can-i-deploy', run('order-service', '2.1.0'))
    const wrong = await served.call('POST', '/api/can-i-deploy', run('order-service', '3.0.0'))
    const { contracts: _contracts, ...unrecorded } = run('order-service', '3.0.0')
    const unknown = await served.call('POST', '/api/can-i-deploy', unrecorded)

    expect(fine.body).toMatchObject({ ok: true, verdict: 'yes' })
    expect(wrong.body).toMatchObject({ ok: false, verdict: 'no' })
    expect(wrong.body.checks).toContainEqual(
      expect.objectContaining({ counterpart: 'billing', counterpartVersion: '1', blocks: true }),
    )
    expect(unknown.body).toMatchObject({ ok: false, verdict: 'unknown' })

    const typo = { ...run('order-service', '2.1.0'), environment: 'prd' }
    const nowhere = await served.call('POST', '/api/can-i-deploy', typo)
    expect(nowhere.status).toBe(404)
    expect(nowhere.body).toMatchObject({ code: 'ENVIRONMENT_NOT_FOUND' })
    const first = { ...typo, newEnvironment: true }
    expect((await served.call('POST', '/api/can-i-deploy', first)).body.ok).toBe(true)
  })
})
