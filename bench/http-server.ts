import { createServer } from 'node:http'

// A process of its own: answers every request with about 180 bytes of JSON.

const body = JSON.stringify({
  id: 'ord-1001',
  status: 'placed',
  total: { amount: '149.90', currency: 'EUR' },
  lines: [
    { sku: 'A-1', quantity: 2 },
    { sku: 'B-2', quantity: 1 },
  ],
  note: 'leave at the door',
})
const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }

const server = createServer((request, response) => {
  request.resume()
  response.writeHead(200, headers)
  response.end(body)
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  process.send?.(typeof address === 'object' ? address?.port : undefined)
})
process.on('disconnect', () => process.exit())
