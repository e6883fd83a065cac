import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { openStore } from '../../store/index.ts'
import { createEgress } from './egress.ts'
import { createPost } from './post.ts'
import { createSender } from './sender.ts'
import type { SenderEvent } from './sender-events.ts'

const opened: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

async function listen(listener: RequestListener): Promise<string> {
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  opened.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://localhost:${(server.address() as AddressInfo).port}/`
}

function poster(privateNetworks: 'allow' | 'deny' = 'allow') {
  const egress = createEgress({ https: 'optional', privateNetworks, ports: 'any' })
  const agent = egress.createAgent({ connections: 10 })
  opened.push(() => agent.destroy())
  return createPost(agent, systemClock)
}

const given = { headers: { 'content-type': 'text/plain' }, body: Buffer.from('hello') }

describe('a call', () => {
  it('sends the bytes and gives what came back, its beginning only', async () => {
    const url = await listen(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      response.setHeader('retry-after', '7').setHeader('x-other', '1')
      response.end(`${Buffer.concat(chunks)} ${'x'.repeat(50_000)}`)
    })

    const result = await poster()({ url, ...given, timeoutMs: 5000 })

    expect(result).toMatchObject({ status: 200, headers: { 'retry-after': '7' } })
    expect('excerpt' in result && result.excerpt.length).toBe(20_000)
    expect('excerpt' in result && result.excerpt.startsWith('hello x')).toBe(true)
  })

  it('ends with its time, whether headers or the body do not come', async () => {
    const silent = await listen(() => undefined)
    const dripping = await listen((_request, response) => void response.writeHead(200).write('a'))

    for (const url of [silent, dripping]) {
      expect(await poster()({ url, ...given, timeoutMs: 50 })).toMatchObject({ failure: 'timeout' })
    }
  })

  it('does not read an answer without end, and does not follow redirects', async () => {
    const endless = await listen((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
      }
      response.on('drain', more)
      more()
    })
    const elsewhere = await listen((_request, response) => {
      response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end()
    })

    expect(await poster()({ url: endless, ...given, timeoutMs: 5000 })).toMatchObject({
      status: 200,
    })
    expect(await poster()({ url: elsewhere, ...given, timeoutMs: 5000 })).toMatchObject({
      status: 302,
    })
  })

  it('says that a connection was refused or lost', async () => {
    const lost = await listen((request) => request.socket.destroy())

    for (const url of ['http://127.0.0.1:1/', lost]) {
      expect(await poster()({ url, ...given, timeoutMs: 5000 })).toMatchObject({
        failure: 'network',
      })
    }
  })

  it('connects to no address that is not public, whatever the name said before', async () => {
    let calls = 0
    const url = await listen((_request, response) => {
      calls += 1
      response.end()
    })

    expect(await poster('deny')({ url, ...given, timeoutMs: 5000 })).toMatchObject({
      failure: 'denied',
    })
    expect(calls).toBe(0)
  })
})

describe('a name that changes between check and connection', () => {
  it('gains nothing: the address is checked where it is used', async () => {
    let calls = 0
    const url = await listen((_request, response) => {
      calls += 1
      response.end()
    })
    let asked = 0
    const resolve = async () => {
      asked += 1
      return [asked === 1 ? '8.8.8.8' : '127.0.0.1']
    }
    const attempted = Promise.withResolvers<SenderEvent>()
    const sender = await createSender({
      store: await openStore('memory:'),
      egress: { https: 'optional', ports: 'any', resolve },
      onEvent: (event) => attempted.resolve(event),
    })
    opened.push(() => sender.close({ drainMs: 0 }))
    await sender.endpoints.add({ url: url.replace('localhost', 'rebinding.example') })
    await sender.send({ type: 'x', data: 1 })

    expect(await attempted.promise).toMatchObject({
      kind: 'attempt',
      outcome: 'failed',
      error: expect.stringContaining('denied'),
    })
    expect([asked, calls]).toEqual([2, 0])
  })
})

describe('endpoints that hang', () => {
  it('hold few connections each and slow nobody', async () => {
    let hanging = 0
    const silent = await listen(() => {
      hanging += 1
    })
    let delivered = 0
    const all = Promise.withResolvers<void>()
    const quick = await listen((request, response) => {
      request.resume()
      response.end()
      delivered += 1
      if (delivered === 200) all.resolve()
    })
    const sender = await createSender({
      store: await openStore('memory:'),
      concurrency: 40,
      egress: { https: 'optional', ports: 'any', privateNetworks: 'allow' },
    })
    opened.push(() => sender.close({ drainMs: 0 }))
    for (let n = 0; n < 15; n += 1) await sender.endpoints.add({ url: silent, events: ['x'] })
    await sender.endpoints.add({ url: quick, events: ['x'] })

    await Promise.all(Array.from({ length: 200 }, (_, n) => sender.send({ type: 'x', data: n })))
    await all.promise

    expect(delivered).toBe(200)
    expect(hanging).toBeLessThanOrEqual(15 * 2)
  })
})
