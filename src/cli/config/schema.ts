/** One place of the configuration: what may stand there. */
export type Rule =
  | {
      readonly kind: 'text'
      readonly choices?: readonly string[]
      /** Must be a secret reference, and nothing else. */
      readonly secret?: true
      /** May be a URL; a password in it must be a secret reference. */
      readonly url?: true
      readonly pattern?: RegExp
      readonly expected?: string
    }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number }
  | { readonly kind: 'duration' }
  /** A list; `orOne`: a single item may stand without brackets. */
  | { readonly kind: 'list'; readonly items: Rule; readonly orOne?: true }
  | {
      readonly kind: 'map'
      readonly keys: Readonly<Record<string, Rule>>
      readonly required?: readonly string[]
      /** Exactly one of these keys must be there. */
      readonly oneOf?: readonly string[]
    }
  /** Names of the reader's own choice. */
  | { readonly kind: 'names'; readonly values: Rule }

const text: Rule = { kind: 'text' }
const paths: Rule = { kind: 'list', items: text, orOne: true }

/** What a configuration file may hold. Paths are meant from its folder. */
export const configSchema: Rule & { kind: 'map' } = {
  kind: 'map',
  keys: {
    contracts: paths,
    transport: { kind: 'text', url: true },
    store: { kind: 'text', url: true },
    service: text,
    profile: { kind: 'text', choices: ['default', 'seed-compat', 'strict-ids'] },
    handlers: paths,
    feeds: {
      kind: 'names',
      values: { kind: 'map', required: ['module'], keys: { module: text, as: text } },
    },
    show: { kind: 'names', values: text },
    services: {
      kind: 'names',
      values: {
        kind: 'map',
        oneOf: ['command', 'module'],
        keys: {
          command: text,
          module: text,
          args: { kind: 'list', items: text },
          env: { kind: 'names', values: text },
          restart: { kind: 'text', choices: ['always', 'on-failure', 'never'] },
          cwd: text,
        },
      },
    },
    server: {
      kind: 'map',
      keys: {
        port: { kind: 'integer', min: 0, max: 65_535 },
        host: text,
        allowedHosts: { kind: 'list', items: text, orOne: true },
        keys: {
          kind: 'list',
          items: {
            kind: 'map',
            required: ['name', 'scopes'],
            oneOf: ['key', 'sha256'],
            keys: {
              name: text,
              scopes: {
                kind: 'list',
                orOne: true,
                items: { kind: 'text', choices: ['read', 'write', 'metrics'] },
              },
              key: { kind: 'text', secret: true },
              sha256: {
                kind: 'text',
                pattern: /^[0-9a-f]{64}$/i,
                expected: 'a SHA-256 digest of 64 hexadecimal digits',
              },
            },
          },
        },
      },
    },
    limits: {
      kind: 'map',
      keys: {
        messageBytesMax: { kind: 'integer', min: 1024, max: 1_073_741_824 },
        drain: { kind: 'duration' },
        lease: { kind: 'duration' },
      },
    },
  },
}
