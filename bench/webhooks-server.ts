import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import fastify from 'fastify'
import { defineContract, openBus, openStore } from 'treatyjs'
import { createReceiver, fastifyHooks, verify } from 'treatyjs/webhooks'

// A process of its own: node webhooks-server.ts MODE FILE. Says its port; answers `cpu` with its CPU time in microseconds.

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const [, , mode = 'bare', file = ''] = process.argv

function contract() {
  return defineContract({
    treaty: 1,
    id: 'bench.payments',
    version: '1.0.0',
    status: 'active',
    purpose: 'Carries payments from a provider to billing, as fast as it can.',
    owner: { team: 'bench' },
    pattern: 'pub-sub',
    envelope: 'none',
    channels: { payments: { address: 'bench.payments' } },
    events: {
      'payment.made': {
        channel: 'payments',
        purpose: 'A payment.',
        schema: {
          type: 'object',
          required: ['type', 'data'],
          properties: { type: { type: 'string' }, data: { type: 'object' } },
        },
      },
    },
    producers: { psp: {} },
    consumers: { billing: { accepts: '^1.0.0', events: { 'payment.made': { needs: ['type'] } } } },
  })
}

/** What everybody writes by hand: raw body, one HMAC, compare. */
function bareApp() {
  const app = fastify()
  const key = createSecretKey(Buffer.from(secret.slice('whsec_'.length), 'base64'))
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/hooks/psp', (request, reply) => {
    const { headers } = request
    const expected = createHmac('sha256', key)
      .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.`)
      .update(request.body as Buffer)
      .digest()
    const given = Buffer.from(String(headers['webhook-signature']).slice(3), 'base64')
    const isRight = given.length === expected.length && timingSafeEqual(given, expected)
    return reply.code(isRight ? 200 : 401).send()
  })
  return app
}

function verifyApp() {
  const app = fastify()
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.post('/hooks/psp', (request, reply) => {
    const verdict = verify({
      scheme: 'standard-webhooks',
      secrets: [secret],
      headers: request.headers,
      rawBody: request.body as Buffer,
      now: new Date(),
    })
    return reply.code(verdict.ok ? 200 : 401).send()
  })
  return app
}

async function receiverApp() {
  const bus = await openBus({ contracts: [contract()], transport: `sqlite:${file}` })
  // Claims only keep duplicates away, which the bus knows by their ids too: they need no sync of their own.
  const store = await openStore(`sqlite:${file}`, { durability: 'normal' })
  const receiver = createReceiver({
    sources: {
      psp: {
        verify: { scheme: 'standard-webhooks', secrets: [secret] },
        event: 'payment.made',
        dedupe: { by: mode === 'receiver' ? 'bus' : 'claims' },
      },
    },
    bus,
    store,
  })
  const app = fastify()
  await app.register(fastifyHooks(receiver))
  return app
}

/** Takes everything at once, but for `/hang`, which never answers. Tells when each came, where it is asked to. */
function sink() {
  return createServer((request, response) => {
    request.resume()
    if (request.url === '/hang') return
    response.writeHead(204).end()
  })
}

async function listen(): Promise<number> {
  if (mode === 'sink') {
    const server = sink()
    server.keepAliveTimeout = 60_000
    await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', 4096, resolve))
    const address = server.address()
    return typeof address === 'object' && address ? address.port : 0
  }
  const app = await (mode === 'bare' ? bareApp() : mode === 'verify' ? verifyApp() : receiverApp())
  await app.listen({ port: 0, host: '127.0.0.1' })
  const address = app.server.address()
  return typeof address === 'object' && address ? address.port : 0
}

process.send?.({ port: await listen() })
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMicros: user + system })
})
process.on('disconnect', () => process.exit())
