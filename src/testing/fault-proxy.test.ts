import { once } from 'node:events'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { FaultProxy } from './fault-proxy.ts'
import { faultProxy } from './fault-proxy.ts'

const ends: (() => Promise<unknown> | unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function echo(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  return server
}
async function opened(): Promise<FaultProxy> {
  const server = await echo()
  const proxy = await faultProxy({ port: (server.address() as AddressInfo).port })
  ends.push(() => proxy.close())
  return proxy
}
async function caller(proxy: FaultProxy): Promise<Socket> {
  const socket = connect({ host: proxy.host, port: proxy.port })
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}
const closed = (socket: Socket): Promise<unknown> =>
  new Promise((resolve) => socket.once('close', resolve))
const answer = async (socket: Socket): Promise<string> => String((await once(socket, 'data'))[0])

describe('faultProxy', () => {
  it('passes bytes both ways', async () => {
    const socket = await caller(await opened())

    socket.write('hello')

    expect(await answer(socket)).toBe('hello')
  })

  it('cuts every connection and takes new ones', async () => {
    const proxy = await opened()
    const first = await caller(proxy)
    first.write('a')
    await answer(first)

    proxy.cut()
    await closed(first)
    const second = await caller(proxy)
    second.write('again')

    expect(await answer(second)).toBe('again')
  })

  it('holds everything back while frozen and passes it in order afterwards', async () => {
    const proxy = await opened()
    const socket = await caller(proxy)
    let seen = ''
    socket.on('data', (chunk) => {
      seen += String(chunk)
    })

    proxy.freeze()
    socket.write('one ')
    socket.write('two')
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    expect(seen).toBe('')
    proxy.thaw()
    while (seen.length < 7) await once(socket, 'data')

    expect(seen).toBe('one two')
  })

  it('delays by the time that is set', async () => {
    const proxy = await opened()
    const socket = await caller(proxy)
    proxy.setDelay(60)
    const startedAt = performance.now()

    socket.write('slow')
    await answer(socket)

    expect(performance.now() - startedAt).toBeGreaterThan(110)
  })

  it('refuses new connections when it is told to', async () => {
    const proxy = await opened()
    proxy.refuse(true)
    const socket = connect({ host: proxy.host, port: proxy.port })
    socket.on('error', () => undefined)
    ends.push(() => socket.destroy())

    await closed(socket)

    expect(proxy.connections()).toBe(0)
  })
})
