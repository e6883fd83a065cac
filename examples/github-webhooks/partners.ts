// Three partners that are told of what happens on GitHub by webhooks of ours: one is well, one fails, one hangs.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type EndpointOptions, type Sender, verify } from 'treatyjs/webhooks'

export interface PartnersOptions {
  readonly sender: Sender
  /** Signs what all three get. */
  readonly secret: string
  readonly signal: AbortSignal
}

/** What the three want. Their ports change with each start, so they are put anew. */
const wishes: readonly (Omit<EndpointOptions, 'url'> & { readonly id: string })[] = [
  {
    id: 'partner-healthy',
    events: ['github.*'],
    filter: 'has(data.repository) && !data.repository.private',
    description: 'Takes everything about public repositories.',
  },
  {
    id: 'partner-failing',
    events: ['github.release'],
    filter: 'data.action in ["published", "released"]',
    description: 'Answers 500, always.',
  },
  {
    id: 'partner-hanging',
    events: ['github.push', 'github.pull_request'],
    description: 'Takes the connection and never answers.',
  },
]

/** Opens the partners on a free port and subscribes them; they go when the signal aborts. */
export async function openPartners({ sender, secret, signal }: PartnersOptions): Promise<void> {
  const server = createServer((request, response) => answer(request, response, secret))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  signal.addEventListener('abort', () => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  for (const wish of wishes) {
    await sender.endpoints.put({ ...wish, secret, url: `http://127.0.0.1:${port}/${wish.id}` })
  }
}

function answer(request: IncomingMessage, response: ServerResponse, secret: string): void {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    if (request.url === '/partner-hanging') return
    if (request.url === '/partner-failing') {
      response.writeHead(500).end('out of order')
      return
    }
    const { ok } = verify({
      scheme: 'standard-webhooks',
      secrets: [secret],
      headers: request.headers,
      rawBody: Buffer.concat(chunks),
      now: new Date(),
    })
    response.writeHead(ok ? 204 : 401).end()
  })
}
