import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { loadContracts } from '../contracts/index.ts'
import { openBus } from '../messaging/index.ts'
import { busExtras } from './bus-extras.ts'
import { parseLines, runCaptured } from './captured-run.ts'
import type { Settings } from './config/settings.ts'
import { sampleOrder, sampleProject } from './sample-project.ts'

const password = 'hunter2/Zq@'
const environment = { REGISTRY_PW: password }

/** A schema registry that gives one id to all, and remembers who asked. */
async function registry() {
  const asked: { readonly url: string; readonly authorization: string }[] = []
  const server = createServer((request, response) => {
    const { url = '', headers } = request
    asked.push({ url, authorization: String(headers.authorization) })
    request.resume()
    const body = url.includes('/schemas/ids/') ? [{ subject: 'x', version: 1 }] : { id: 7 }
    request.on('end', () => response.end(JSON.stringify(body)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, asked, close: () => new Promise((resolve) => server.close(resolve)) }
}

/** The sample project with a section in its configuration, and an envelope that other programs can read. */
async function projectWith(section: string): Promise<string> {
  const cwd = sampleProject()
  const { contracts } = await loadContracts(join(cwd, 'contracts'))
  const file = contracts[0]?.file ?? ''
  const text = readFileSync(file, 'utf8').replace(/^envelope:.*\n/m, '')
  writeFileSync(file, text.replace(/^version:/m, 'envelope: none\nversion:'))
  writeFileSync(join(cwd, 'treaty.config.yaml'), `transport: sqlite:broker.db\n${section}\n`)
  return cwd
}

describe('schemaRegistry of the configuration', () => {
  it('is asked by publish and consume, with its secret, and frames what travels', async () => {
    await using stack = new AsyncDisposableStack()
    const { url, asked, close } = await registry()
    stack.defer(async () => void (await close()))
    const auth = 'auth: { user: me, password: secret://env/REGISTRY_PW }'
    const cwd = await projectWith(`schemaRegistry: { url: '${url}', ${auth} }`)
    const data = JSON.stringify(sampleOrder('o-1'))
    const published = await runCaptured(['publish', 'order.placed', '--data', data], {
      cwd,
      environment,
    })

    expect(published.code).toBe(0)
    expect(asked[0]?.url).toMatch(/^\/subjects\/.*-value\/versions$/)
    const proof = Buffer.from(`me:${password}`).toString('base64')
    expect(asked[0]?.authorization).toBe(`Basic ${proof}`)
    const file = new DatabaseSync(join(cwd, 'broker.db'))
    stack.defer(() => file.close())
    const kept = file.prepare('SELECT body FROM bus_log').get() as { body: Uint8Array }
    expect([...kept.body.subarray(0, 5)]).toEqual([0, 0, 0, 0, 7])

    const consumed = await runCaptured(['consume', 'billing', '--max', '1', '--json'], {
      cwd,
      environment,
    })
    const messages = parseLines(consumed.out).filter(({ kind }) => kind === 'message')
    expect(messages).toMatchObject([{ event: 'order.placed', data: { orderId: 'o-1' } }])
    const seen = await runCaptured(['tail', '--all', '--max', '1', '--json'], { cwd, environment })
    expect(seen.out).toContain('o-1')
  })

  it('that does not answer is a named error, without the secret', async () => {
    const auth = 'auth: { token: secret://env/REGISTRY_PW }'
    const cwd = await projectWith(`schemaRegistry: { url: 'http://127.0.0.1:9', ${auth} }`)
    const data = JSON.stringify(sampleOrder('o-1'))
    const { code, out, err } = await runCaptured(['publish', 'order.placed', '--data', data], {
      cwd,
      environment,
    })

    expect([code, err.includes('SCHEMA_REGISTRY_FAILED')]).toEqual([6, true])
    expect(out + err).not.toContain('Zq')
  })
})

describe('outbox of the configuration', () => {
  it('is where the commands look that are told no other', async () => {
    const cwd = sampleProject()
    writeFileSync(
      join(cwd, 'treaty.config.yaml'),
      'transport: sqlite:broker.db\noutbox: { url: app.db, failuresMax: 3 }\n',
    )
    const url = `sqlite:${join(cwd, 'app.db')}`
    const { contracts } = await loadContracts(join(cwd, 'contracts'))
    await using bus = await openBus({
      contracts,
      transport: 'memory:',
      outbox: { url, relay: false },
    })
    using database = new DatabaseSync(join(cwd, 'app.db'))
    database.exec('BEGIN IMMEDIATE')
    bus.outbox(database).publish('order.placed', sampleOrder('o-1'))
    database.exec('COMMIT')
    const status = await runCaptured(['outbox', 'status'], { cwd })
    const relay = await runCaptured(['outbox', 'relay', '--idle-exit', '100', '--json'], { cwd })

    expect(status.out).toContain('1 waiting')
    expect(parseLines(relay.out).at(-1)).toMatchObject({ kind: 'summary', sent: 1 })
    expect((await runCaptured(['outbox', 'status'], { cwd })).out).toContain('nothing waits')
  })

  it('has its secrets resolved, and those of inbox and registry', () => {
    const settings = {
      outbox: { url: 'postgres://app:secret://env/PW@db/app', relay: false },
      inbox: { url: 'secret://env/INBOX' },
      schemaRegistry: { url: 'http://registry', auth: { token: 'secret://env/PW' } },
    } as unknown as Settings
    const reveal = (text: string) => text.replaceAll(/secret:\/\/env\/(\w+)/g, '<$1>')

    expect(busExtras(settings, reveal)).toEqual({
      outbox: { url: 'postgres://app:<PW>@db/app', relay: false },
      inbox: { url: '<INBOX>' },
      confluent: { url: 'http://registry', auth: { token: '<PW>' } },
    })
    expect(busExtras({} as Settings, reveal)).toEqual({})
  })
})
