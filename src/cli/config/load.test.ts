import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { packFolder } from '../../contracts/index.ts'
import type { TreatyError } from '../../core/errors.ts'
import { createMasker } from '../masking.ts'
import { loadSettings } from './load.ts'
import type { Rule } from './rule.ts'
import { configSchema } from './schema.ts'

function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'treaty-config-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return folder
}

interface Given {
  readonly environment?: Readonly<Record<string, string>>
  readonly args?: Readonly<Record<string, unknown>>
  readonly configFile?: string
}
const load = (cwd: string, { environment = {}, args = {}, configFile }: Given = {}) =>
  loadSettings({ cwd, environment, args, configFile, masker: createMasker() })

async function failure(cwd: string, given?: Given): Promise<TreatyError> {
  return load(cwd, given).then(
    () => Promise.reject(new Error('it was accepted')),
    (error: TreatyError) => error,
  )
}

describe('loadSettings', () => {
  it('has a default for everything', async () => {
    const cwd = folderWith({})

    expect(await load(cwd)).toEqual({
      folder: cwd,
      contracts: [join(cwd, 'contracts')],
      transport: `sqlite:${join(cwd, 'treaty.db')}`,
      profile: 'default',
      handlers: [],
      feeds: [],
      services: [],
      server: { port: 4400, host: '127.0.0.1', keys: [], allowedHosts: [] },
      limits: {},
      show: {},
      fileSettings: 0,
    })
  })

  it('takes a rate for the callers of the API, and none of 0', async () => {
    const limited = (rate: string) =>
      folderWith({ 'treaty.config.yaml': `server: { rateLimit: { rate: ${rate}, burst: 5 } }\n` })

    const { server } = await load(limited('120/m'))
    expect(server.rateLimit).toEqual({ perSecond: 2, burst: 5 })
    expect((await failure(limited('0.0/s'))).findings).toMatchObject([
      { code: 'CONFIG_VALUE_WRONG', line: 1 },
    ])
  })

  it('puts flags before environment before file', async () => {
    const cwd = folderWith({
      'treaty.config.yaml': 'transport: sqlite:file.db\nserver: { port: 1111 }\n',
    })
    const environment = { TREATY_TRANSPORT: 'sqlite:env.db', TREATY_PORT: '2222' }

    expect((await load(cwd)).transport).toBe(`sqlite:${join(cwd, 'file.db')}`)
    expect((await load(cwd, { environment })).transport).toBe(`sqlite:${join(cwd, 'env.db')}`)
    const both = await load(cwd, { environment, args: { transport: 'sqlite:/flag.db', port: 0 } })
    expect([both.transport, both.server.port]).toEqual(['sqlite:/flag.db', 0])
    expect((await load(cwd, { environment })).server.port).toBe(2222)
  })

  it('means paths of the file from its folder, and paths of flags from the working directory', async () => {
    const folder = folderWith({
      'treaty.config.yaml': 'contracts: [agreed, pack:agent-platform]\nhandlers: ./h.ts\n',
    })
    const settings = await load('/elsewhere', {
      configFile: join(folder, 'treaty.config.yaml'),
      args: { store: 'x.db' },
    })

    expect(settings.contracts).toEqual([join(folder, 'agreed'), packFolder('agent-platform')])
    expect(settings.handlers).toEqual([join(folder, 'h.ts')])
    expect(settings.store).toBe('sqlite:/elsewhere/x.db')
  })

  it('refuses a pack that is not shipped, and suggests one', async () => {
    const error = await failure(
      folderWith({ 'treaty.config.yaml': 'contracts: pack:agent-platfrom\n' }),
    )

    expect([error.code, error.hint]).toEqual(['PACK_NOT_FOUND', "Did you mean 'agent-platform'?"])
  })

  it('reports every mistake with file, line, column and frame', async () => {
    const cwd = folderWith({
      'treaty.config.yaml': `transprot: sqlite:x.db
server:
  port: 70000
  hots: localhost
profile: defualt
services:
  billing: { restart: always }
`,
    })
    const error = await failure(cwd)

    expect(error.code).toBe('CONFIG_INVALID')
    expect(
      error.findings.map(({ code, line, column, hint }) => [code, line, column, hint]),
    ).toEqual([
      ['CONFIG_KEY_UNKNOWN', 1, 1, "Did you mean 'transport'?"],
      ['CONFIG_VALUE_WRONG', 3, 9, undefined],
      ['CONFIG_KEY_UNKNOWN', 4, 3, "Did you mean 'host'?"],
      ['CONFIG_VALUE_WRONG', 5, 10, "Did you mean 'default'?"],
      ['CONFIG_VALUE_WRONG', 7, 3, undefined],
    ])
    expect(error.findings[0]?.frame).toContain('> 1 | transprot: sqlite:x.db')
  })

  it('takes outbox, inbox and schema registry, their paths from the folder of the file', async () => {
    const cwd = folderWith({
      'treaty.config.yaml': `transport: kafka://broker
outbox: { url: sqlite:app.db, relay: false, failuresMax: 3, onParked: block }
inbox: { url: app.db }
schemaRegistry:
  url: https://registry.example
  auth: { user: me, password: secret://env/PW }
  subject: record
  register: false
  timeout: 2s
`,
    })
    const environment = {
      TREATY_INBOX: 'postgres://db/app',
      TREATY_SCHEMA_REGISTRY: 'http://other',
    }

    expect(await load(cwd)).toMatchObject({
      outbox: {
        url: `sqlite:${join(cwd, 'app.db')}`,
        relay: false,
        failuresMax: 3,
        onParked: 'block',
      },
      inbox: { url: `sqlite:${join(cwd, 'app.db')}` },
      schemaRegistry: {
        url: 'https://registry.example',
        auth: { user: 'me', password: 'secret://env/PW' },
        subject: 'record',
        register: false,
        timeoutMs: 2000,
      },
    })
    expect(await load(cwd, { environment })).toMatchObject({
      inbox: { url: 'postgres://db/app' },
      schemaRegistry: { url: 'http://other', subject: 'record' },
    })
  })

  it('places every mistake in outbox, inbox and schema registry', async () => {
    const cwd = folderWith({
      'treaty.config.yaml': `outbox:
  url: kafka://broker
  failuresMax: 0
  onParked: wait
inbox: {}
schemaRegistry:
  url: registry
  auth: { token: abcdef }
  subject: topics
`,
    })
    const error = await failure(cwd)

    expect(error.findings.map(({ code, line, hint }) => [code, line, hint])).toEqual([
      ['CONFIG_VALUE_WRONG', 2, undefined],
      ['CONFIG_VALUE_WRONG', 3, undefined],
      ['CONFIG_VALUE_WRONG', 4, 'Use one of: next, block.'],
      ['CONFIG_VALUE_WRONG', 5, undefined],
      ['CONFIG_VALUE_WRONG', 7, undefined],
      ['SECRET_PLAIN', 8, 'Write secret://env/NAME or secret://file/PATH in its place.'],
      ['CONFIG_VALUE_WRONG', 9, "Did you mean 'topic'?"],
    ])
  })

  it('wants both user and password, or a token', async () => {
    const auths = [
      '{ user: me }',
      '{ password: secret://env/PW }',
      '{ user: me, token: secret://env/T }',
    ]
    for (const auth of auths) {
      const text = `schemaRegistry: { url: http://registry, auth: ${auth} }\n`
      const error = await failure(folderWith({ 'treaty.config.yaml': text }))
      expect(error.findings.length).toBeGreaterThan(0)
    }
  })

  it('wants the database of an outbox to be named where the transport is none', async () => {
    const text = 'transport: kafka://broker\noutbox: { relay: true }\n'
    const error = await failure(folderWith({ 'treaty.config.yaml': text }))

    expect(error.findings).toMatchObject([{ code: 'CONFIG_VALUE_WRONG', line: 2 }])
    expect(error.findings[0]?.message).toContain('names no database')
    const onDatabase = folderWith({ 'treaty.config.yaml': 'outbox: { relay: true }\n' })
    expect((await load(onDatabase)).outbox).toEqual({ relay: true })
  })

  it('refuses passwords and tokens of brokers in plain text', async () => {
    const urls = [
      'kafka+ssl://app:hunter2@one,two',
      'nats://hunter2@host',
      'nats://host?token=hunter2',
      'amqp://app:hunter2@host',
      'redis://:hunter2@host',
      'postgres://host/app?password=hunter2',
    ]
    for (const url of urls) {
      const error = await failure(folderWith({ 'treaty.config.yaml': `transport: '${url}'\n` }))
      expect(error.findings.map(({ code }) => code)).toEqual(['SECRET_PLAIN'])
      expect(error.findings[0]?.message).not.toContain('hunter2')
    }
    const references = urls.map((url) => url.replace('hunter2', 'secret://env/PW'))
    for (const url of [...references, 'secret://env/URL', 'kafka://host', 'nats://host:4222']) {
      const cwd = folderWith({ 'treaty.config.yaml': `transport: '${url}'\n` })
      expect((await load(cwd)).transport).toBe(url)
    }
  })

  it('reports YAML that cannot be read', async () => {
    const error = await failure(folderWith({ 'treaty.config.yaml': 'server: [\n' }))

    expect(error.findings[0]).toMatchObject({ code: 'YAML_SYNTAX', severity: 'error' })
    expect(error.findings[0]?.line).toBeGreaterThan(0)
  })

  it('takes an empty file for no settings', async () => {
    expect((await load(folderWith({ 'treaty.config.yaml': '# nothing yet\n' }))).fileSettings).toBe(
      0,
    )
  })

  it.each([
    ['transport: postgres://app:hunter22@db/app', 'hunter22'],
    ['server: { keys: [{ name: a, scopes: read, key: hunter22 }] }', 'hunter22'],
  ])('refuses a plain secret and does not repeat it in its message: %s', async (text, secret) => {
    const error = await failure(folderWith({ 'treaty.config.yaml': text }))

    expect(error.findings.map(({ code }) => code)).toEqual(['SECRET_PLAIN'])
    expect(error.findings[0]?.message).not.toContain(secret)
  })

  it('takes secret references, unresolved', async () => {
    const text = `transport: postgres://app:secret://env/DB@db/app
server: { keys: [{ name: a, scopes: [read, write], key: secret://env/KEY }] }
`
    const settings = await load(folderWith({ 'treaty.config.yaml': text }))

    expect(settings.transport).toBe('postgres://app:secret://env/DB@db/app')
    expect(settings.server.keys).toEqual([
      { name: 'a', scopes: ['read', 'write'], key: 'secret://env/KEY' },
    ])
  })

  it('imports a TypeScript configuration', async () => {
    const text = `const port: number = 4555\nexport default { server: { port }, service: 'shop' }\n`
    const settings = await load(folderWith({ 'treaty.config.ts': text }))

    expect([settings.server.port, settings.service]).toEqual([4555, 'shop'])
  })

  it('says where in a TypeScript configuration a mistake is, without inventing a line', async () => {
    const error = await failure(
      folderWith({ 'treaty.config.ts': 'export default { server: { port: "x" } }\n' }),
    )

    expect(error.findings).toMatchObject([{ code: 'CONFIG_VALUE_WRONG', pointer: '/server/port' }])
    expect(error.findings[0]).not.toHaveProperty('line')
  })

  it('refuses two configuration files', async () => {
    const error = await failure(folderWith({ 'treaty.config.yaml': '', 'treaty.config.ts': '' }))

    expect(error.message).toBe(
      'there are several configuration files: treaty.config.yaml, treaty.config.ts',
    )
  })

  it('refuses a file that is named and not there', async () => {
    expect((await failure(folderWith({}), { configFile: 'nope.yaml' })).code).toBe(
      'CONFIG_UNREADABLE',
    )
  })

  it('refuses an environment variable that is no port', async () => {
    expect((await failure(folderWith({}), { environment: { TREATY_PORT: 'x' } })).code).toBe(
      'CONFIG_INVALID',
    )
  })
})

describe('docs/reference/configuration.md', () => {
  it('names every key', () => {
    const text = readFileSync(
      new URL('../../../docs/reference/configuration.md', import.meta.url),
      'utf8',
    )
    const keysOf = (rule: Rule): string[] => {
      if (rule.kind === 'list') return keysOf(rule.items)
      if (rule.kind === 'names') return keysOf(rule.values)
      if (rule.kind === 'either') return [...keysOf(rule.text), ...keysOf(rule.map)]
      if (rule.kind !== 'map') return []
      return Object.entries(rule.keys).flatMap(([key, inner]) => [key, ...keysOf(inner)])
    }

    expect(keysOf(configSchema).filter((key) => !text.includes(`${key}:`))).toEqual([])
  })
})
