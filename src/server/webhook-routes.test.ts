import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Secret } from '../core/secret.ts'
import { openStore } from '../store/index.ts'
import { createReceiver, createSender, sign } from '../webhooks/index.ts'
import { createServer } from './server.ts'
import { registerWebhooks } from './webhook-routes.ts'

interface Described {
  readonly summary: string
  readonly parameters: readonly { readonly name: string; readonly in: string }[]
}
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

it('describes every route with a line and all parameters of its path, those of webhooks too', async () => {
  const { app } = await world()
  const { paths } = (
    await app.inject({
      url: '/openapi.json',
      headers: { host: 'localhost', 'x-api-key': 'k'.repeat(32) },
    })
  ).json()
  const operations = Object.entries<Record<string, Described>>(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, described]) => ({
      at: `${method} ${path}`,
      ...described,
    })),
  )
  expect(operations.filter(({ summary }) => summary === '').map(({ at }) => at)).toEqual([])
  for (const { at, parameters } of operations) {
    const inPath = parameters.filter((parameter) => parameter.in === 'path')
    const names = [...at.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    expect(inPath.map(({ name }) => name).toSorted(), at).toEqual(names.toSorted())
  }
})

async function world() {
  const store = await openStore('memory:')
  const requests: string[] = []
  const sender = await createSender({
    store,
    egress: { privateNetworks: 'allow' },
    post: async ({ url }) => {
      requests.push(url)
      return { status: 500, headers: {}, excerpt: 'no' }
    },
  })
  const seen: string[] = []
  const receiver = createReceiver({
    store,
    sources: {
      psp: {
        verify: { scheme: 'standard-webhooks', secrets: [secret] },
        handle: async ({ id }) => void seen.push(id),
      },
    },
  })
  const keys = [
    { name: 'ops', scopes: ['read', 'write'], key: new Secret('test', 'k'.repeat(32)) },
  ] as const
  const { app, close } = createServer({ keys })
  await registerWebhooks(app, { sender, receiver })
  opened.push(
    () => store.close(),
    () => sender.close({ drainMs: 0 }),
    close,
  )
  const call = async (
    method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
    url: string,
    payload?: object,
  ) => {
    const answer = await app.inject({
      method,
      url: `/api/webhooks${url}`,
      headers: { host: 'localhost', 'x-api-key': 'k'.repeat(32) },
      ...(payload === undefined ? {} : { payload }),
    })
    return { status: answer.statusCode, body: answer.body === '' ? undefined : answer.json() }
  }
  return { app, call, sender, seen, requests }
}

describe('the management of webhooks', () => {
  it('adds, shows, changes and removes endpoints, and tells a secret once', async () => {
    const { call } = await world()

    const added = await call('POST', '/endpoints', {
      id: 'one',
      url: 'https://a.example/h',
      events: ['order.*'],
    })
    expect(added).toMatchObject({
      status: 201,
      body: { id: 'one', secret: expect.stringMatching(/^whsec_/) },
    })
    const shown = await call('GET', '/endpoints/one')
    expect(shown.body).toMatchObject({ status: 'active', events: ['order.*'] })
    expect(JSON.stringify([shown, await call('GET', '/endpoints')])).not.toContain('whsec_')
    expect((await call('PATCH', '/endpoints/one', { concurrency: 3 })).body).toMatchObject({
      concurrency: 3,
      events: ['order.*'],
    })
    expect((await call('POST', '/endpoints/one/rotate-secret')).body).toMatchObject({
      secret: expect.stringMatching(/^whsec_/),
    })
    expect((await call('POST', '/endpoints/one/disable')).body).toMatchObject({
      status: 'disabled',
    })
    expect((await call('POST', '/endpoints/one/enable')).body).toMatchObject({ status: 'active' })
    expect((await call('DELETE', '/endpoints/one')).status).toBe(204)
    expect(await call('GET', '/endpoints/one')).toMatchObject({
      status: 404,
      body: { code: 'WEBHOOK_ENDPOINT_NOT_FOUND' },
    })
  })

  it('answers bad requests with problems that say what is wrong', async () => {
    const { call } = await world()

    expect(await call('POST', '/endpoints', {})).toMatchObject({
      status: 400,
      body: { code: 'REQUEST_INVALID' },
    })
    expect(await call('POST', '/endpoints', { url: 'http://a.example/' })).toMatchObject({
      status: 422,
      body: { code: 'WEBHOOK_EGRESS_DENIED' },
    })
    expect(
      await call('POST', '/endpoints', { url: 'https://a.example/', filter: 'x' }),
    ).toMatchObject({ status: 400, body: { code: 'WEBHOOK_FILTER_INVALID' } })
    expect((await call('GET', '/messages/none')).status).toBe(404)
  })

  it('shows the delivery log, sends once more, recovers and gives bodies', async () => {
    const { call, sender, requests } = await world()
    await call('POST', '/endpoints', { id: 'one', url: 'https://a.example/h' })
    const { id } = await sender.send({ type: 'x', data: 1 })
    await expect
      .poll(async () => (await call('GET', '/endpoints/one/attempts')).body.items)
      .toMatchObject([{ messageId: id, status: 500 }])

    expect((await call('POST', `/endpoints/one/messages/${id}/redeliver`)).status).toBe(202)
    await expect.poll(() => requests.length).toBe(2)
    expect(
      (await call('POST', '/endpoints/one/recover', { since: '2020-01-01T00:00:00Z' })).body,
    ).toEqual({ recovered: 0 })
    expect((await call('GET', `/messages/${id}`)).body).toMatchObject({ type: 'x', data: 1 })
    expect((await call('GET', '/stats')).body).toMatchObject({ isDispatching: true, sent: 1 })
    expect((await call('GET', '/catalogue')).body).toEqual({ items: [] })
  })

  it('needs a key', async () => {
    const { app } = await world()

    expect(
      (await app.inject({ url: '/api/webhooks/endpoints', headers: { host: 'localhost' } }))
        .statusCode,
    ).toBe(401)
  })
})

describe('deliveries to the server', () => {
  it('need no key, for they are signed', async () => {
    const { app, seen } = await world()
    const body = '{"a":1}'
    const headers = sign({
      scheme: 'standard-webhooks',
      secrets: [secret],
      id: 'm-1',
      timestamp: new Date(),
      rawBody: Buffer.from(body),
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    const address = app.server.address() as AddressInfo
    const url = `http://127.0.0.1:${address.port}/hooks/psp`

    expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200)
    expect((await fetch(url, { method: 'POST', body })).status).toBe(401)
    expect(seen).toEqual(['m-1'])
  })
})
