import { appendFileSync } from 'node:fs'
import { createSharedRateLimiter, storeBucket } from '../../src/http/index.ts'
import { openStore } from '../../src/store/index.ts'

// A worker that shares a limit of 100 a second: notes when each of its calls was admitted.

const [file = '', notes = '', forMs = '0'] = process.argv.slice(2)
const store = await openStore(file)
const limiter = createSharedRateLimiter({
  bucket: storeBucket(store, 'api'),
  ratePerSecond: 100,
  burst: 5,
  replicas: 3,
})
const until = Date.now() + Number(forMs)
const admitted: number[] = []
const worker = async () => {
  while (Date.now() < until) {
    await limiter.acquire()
    admitted.push(Date.now())
  }
}
await Promise.all(Array.from({ length: 8 }, worker))
appendFileSync(notes, `${admitted.join('\n')}\n`)
await store.close()
