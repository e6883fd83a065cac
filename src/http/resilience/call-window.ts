/** What calls came to, in one stretch of time. */
export interface CallCounts {
  readonly calls: number
  readonly failures: number
  readonly slow: number
}

interface Bucket {
  calls: number
  failures: number
  slow: number
}

const bucketsMax = 10

/** Counts calls over the last `windowMs`, in ten buckets: what is older than that, to a tenth, is forgotten. */
export class CallWindow {
  readonly #bucketMs: number
  readonly #buckets: Bucket[]
  readonly #sum: Bucket = { calls: 0, failures: 0, slow: 0 }
  #index: number

  constructor(windowMs: number, now: number) {
    this.#bucketMs = windowMs / bucketsMax
    this.#buckets = Array.from({ length: bucketsMax }, () => ({ calls: 0, failures: 0, slow: 0 }))
    this.#index = Math.floor(now / this.#bucketMs)
  }

  note(now: number, call: { readonly isFailure: boolean; readonly isSlow: boolean }): void {
    this.#forget(now)
    const bucket = this.#buckets[this.#index % bucketsMax] as Bucket
    for (const each of [bucket, this.#sum]) {
      each.calls += 1
      if (call.isFailure) each.failures += 1
      if (call.isSlow) each.slow += 1
    }
  }

  counts(now: number): CallCounts {
    this.#forget(now)
    return this.#sum
  }

  clear(): void {
    for (const each of [...this.#buckets, this.#sum]) {
      each.calls = 0
      each.failures = 0
      each.slow = 0
    }
  }

  #forget(now: number): void {
    const index = Math.floor(now / this.#bucketMs)
    if (index <= this.#index) return
    if (index - this.#index >= bucketsMax) this.clear()
    for (let next = this.#index + 1; next <= index && next - this.#index < bucketsMax; next += 1) {
      const bucket = this.#buckets[next % bucketsMax] as Bucket
      this.#sum.calls -= bucket.calls
      this.#sum.failures -= bucket.failures
      this.#sum.slow -= bucket.slow
      bucket.calls = 0
      bucket.failures = 0
      bucket.slow = 0
    }
    this.#index = index
  }
}
