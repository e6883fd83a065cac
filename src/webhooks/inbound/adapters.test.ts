import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import fastify from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { openBus } from '../../messaging/index.ts'
import { openStore } from '../../store/index.ts'
import { fastifyHooks, fetchHandler, nodeHandler, webhookServerOptions } from './adapters.ts'
import { paymentContract, request, secret } from './inbound.test.kit.ts'
import { createReceiver } from './receiver.ts'
import type { SourceOptions } from './source.ts'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function world(more: Partial<SourceOptions> = {}) {
  const bus = await openBus({ contracts: [paymentContract()], transport: 'memory:' })
  const store = await openStore('memory:')
  opened.push(
    () => store.close(),
    () => bus.close({ drainMs: 0 }),
  )
  const psp: SourceOptions = {
    verify: { scheme: 'standard-webhooks', secrets: [secret] },
    event: 'payment.made',
    ...more,
  }
  const receiver = createReceiver({ sources: { psp }, bus, store })
  const bodies = async () =>
    (await bus.messages({ event: 'payment.made' })).items.map(({ record }) =>
      Buffer.from(record.body).toString(),
    )
  return { receiver, bodies }
}

async function listen(server: Server): Promise<string> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function fresh(body: string) {
  const { headers } = request(body, { at: Date.now() })
  return { method: 'POST', headers: headers as Record<string, string>, body }
}

const body = '{"amount": 1.50,  "text": "grüß"}'

/** Sends text over a bare socket and gives everything that comes back until the other side closes. */
async function raw(url: string, text: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  opened.push(async () => socket.destroy())
  socket.write(text)
  const parts: Buffer[] = []
  for await (const part of socket) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}

describe('on node:http', () => {
  it('takes the bytes as they came', async () => {
    const { receiver, bodies } = await world()
    const url = await listen(createServer(webhookServerOptions, nodeHandler(receiver)))

    expect((await fetch(`${url}/hooks/psp`, fresh(body))).status).toBe(200)
    expect(await bodies()).toEqual([body])
  })

  it('answers 404 elsewhere and 401 to a stranger', async () => {
    const { receiver } = await world()
    const url = await listen(createServer(nodeHandler(receiver)))

    for (const path of ['/hooks/nobody', '/hooks/', '/', '/hooks/psp/x', '/hooks/%00']) {
      expect((await fetch(url + path, fresh(body))).status, path).toBe(404)
    }
    expect((await fetch(`${url}/hooks/psp`, { method: 'POST', body })).status).toBe(401)
  })

  it('cuts off who drips a body', async () => {
    const { receiver } = await world({ limits: { bodyMs: 50 } })
    const url = await listen(createServer(nodeHandler(receiver)))

    const answer = await raw(
      url,
      'POST /hooks/psp HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{',
    )

    expect(answer).toMatch(/^HTTP\/1.1 408 /)
  })

  it('refuses a body that is too large by its length, and by its bytes where the length lies', async () => {
    const { receiver } = await world({ limits: { bodyBytes: 1000 } })
    const url = await listen(createServer(nodeHandler(receiver)))
    const head = 'POST /hooks/psp HTTP/1.1\r\nhost: x\r\n'

    expect(await raw(url, `${head}content-length: 1001\r\n\r\n`)).toMatch(/^HTTP\/1.1 413 /)
    const chunk = `${(600).toString(16)}\r\n${'x'.repeat(600)}\r\n`
    expect(await raw(url, `${head}transfer-encoding: chunked\r\n\r\n${chunk}${chunk}`)).toMatch(
      /^HTTP\/1.1 413 /,
    )
  })

  it('takes a header that comes twice for malformed, which Node alone would hide', async () => {
    const { receiver } = await world()
    const url = await listen(createServer(nodeHandler(receiver)))
    const { headers } = fresh('{"amount":1}')
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    const send = (more: string) =>
      raw(
        url,
        `POST /hooks/psp HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 12\r\n${lines.join('')}${more}\r\n{"amount":1}`,
      )

    expect(await send(`Webhook-Id: ${headers['webhook-id']}\r\n`)).toMatch(/^HTTP\/1.1 401 /)
    expect(receiver.stats().psp?.unverified).toEqual({ malformed: 1 })
    expect(await send('')).toMatch(/^HTTP\/1.1 200 /)
  })

  it('survives a sender that goes away in the middle', async () => {
    const { receiver } = await world()
    const url = await listen(createServer(nodeHandler(receiver)))
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.resume()
    await once(socket, 'connect')
    socket.end('POST /hooks/psp HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{')
    await once(socket, 'close')

    expect((await fetch(`${url}/hooks/psp`, fresh(body))).status).toBe(200)
  })
})

describe('as a fetch handler', () => {
  it('takes a Request and gives a Response', async () => {
    const { receiver, bodies } = await world({ limits: { bodyBytes: 100 } })
    const handle = fetchHandler(receiver)
    const at = (path: string) => `https://example.com${path}`

    expect((await handle(new Request(at('/hooks/psp'), fresh(body)))).status).toBe(200)
    expect((await handle(new Request(at('/hooks/nobody'), fresh(body)))).status).toBe(404)
    expect((await handle(new Request(at('/hooks/psp'), fresh('x'.repeat(101))))).status).toBe(413)
    expect((await handle(new Request(at('/hooks/psp')))).status).toBe(405)
    expect(await bodies()).toEqual([body])
  })
})

describe('as a fastify plugin', () => {
  it('leaves the bytes alone, and the parsers of its neighbours too', async () => {
    const { receiver, bodies } = await world()
    const app = fastify()
    opened.push(() => app.close())
    await app.register(fastifyHooks(receiver))
    app.post('/json', async ({ body: parsed }) => parsed)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })

    expect((await fetch(`${url}/hooks/psp`, fresh(body))).status).toBe(200)
    expect((await fetch(`${url}/hooks/nobody`, fresh(body))).status).toBe(404)
    expect(await (await fetch(`${url}/json`, fresh(body))).json()).toMatchObject({ amount: 1.5 })
    expect(await bodies()).toEqual([body])
  })

  it('answers what the handler of the synchronous mode says', async () => {
    const { receiver } = await world()
    const sync = createReceiver({
      sources: {
        psp: {
          verify: { scheme: 'standard-webhooks', secrets: [secret] },
          handle: async () => ({ status: 201, body: 'made' }),
        },
      },
      store: await openStore('memory:'),
    })
    const app = fastify()
    opened.push(() => app.close())
    await app.register(fastifyHooks(sync, { prefix: '/in/' }))
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const answer = await fetch(`${url}/in/psp`, fresh(body))

    expect([answer.status, await answer.text()]).toEqual([201, 'made'])
    expect(receiver.sourceNames).toEqual(['psp'])
  })
})
