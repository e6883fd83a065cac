import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import { openPostgresAccess } from './postgres-access.ts'

/** A message of PostgreSQL's protocol: a letter, the length with itself, the content. */
function packet(type: string, content: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.write(type)
  head.writeInt32BE(content.length + 4, 1)
  return Buffer.concat([head, content])
}

const field = (name: string, text: string) => `${name}${text}\0`
const letIn = packet('R', Buffer.alloc(4))
const ready = packet('Z', Buffer.from('I'))
const farewell = packet(
  'E',
  Buffer.from(
    `${field('S', 'FATAL')}${field('V', 'FATAL')}${field('C', '57P01')}${field('M', 'the server ends')}\0`,
  ),
)

describe('a connection to PostgreSQL', () => {
  it('that ends in the moment of its making does not end the process', async () => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined)
      // One packet, as when the server dies just after it has let somebody in.
      socket.once('data', () => void socket.end(Buffer.concat([letIn, ready, farewell])))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    const access = await openPostgresAccess(`postgres://somebody@127.0.0.1:${port}/shop`, {
      openWaitMs: 0,
      waitMs: 0,
    })
    await expect(access.write('SELECT 1')).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    await access.close()
    server.close()
  })
})
