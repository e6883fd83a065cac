import {
  openRegistry,
  openSubjects,
  type Registry,
  type Subjects,
} from '../../src/registry/index.ts'
import type { Server } from '../../src/server/index.ts'
import { createServer, type ServerOptions } from '../../src/server/index.ts'
import { openStore } from '../../src/store/index.ts'

/** A registry with its server on a free port of this machine. */
export interface Served extends AsyncDisposable {
  /** Without a slash at the end. */
  readonly url: string
  /** Where the facade is. */
  readonly confluent: string
  readonly server: Server
  readonly registry: Registry
  readonly subjects: Subjects
  /** One request with a JSON body; the answer's body parsed, where there is one. */
  call(method: string, path: string, body?: unknown, headers?: object): Promise<Answer>
  close(): Promise<void>
}
export interface Answer {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly body: any
}

export async function serve(options: Partial<ServerOptions> = {}): Promise<Served> {
  const store = await openStore('memory:')
  const server = createServer({ port: 0, ...options })
  server.attachStore(store)
  const url = await server.listen()
  const confluent = `${url}${(options.confluentAt ?? '/confluent').replace(/\/$/, '')}`
  const close = async () => {
    await server.close()
    await store.close()
  }
  return {
    url,
    confluent,
    server,
    registry: openRegistry(store),
    subjects: openSubjects(store),
    async call(method, path, body, headers = {}) {
      const response = await fetch(path.startsWith('http') ? path : url + path, {
        method,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          // What a page of this server sends.
          origin: url,
          ...headers,
        },
        ...(body === undefined
          ? {}
          : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: parsed(text) }
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
