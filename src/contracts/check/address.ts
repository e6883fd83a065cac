/** Why an address cannot be used on a broker, as half a sentence; undefined when it can. */
type AddressRule = (address: string) => string | undefined

const rules: Readonly<Record<string, AddressRule>> = {
  /** @see org.apache.kafka.common.internals.Topic */
  kafka(address) {
    if (address === '.' || address === '..') return 'is `.` or `..`'
    if (address.length > 249) return `has ${address.length} characters, at most 249 are allowed`
    return /^[A-Za-z0-9._-]+$/.test(address)
      ? undefined
      : 'has characters other than letters, digits, `.`, `_` and `-`'
  },
  /** @see https://docs.nats.io/nats-concepts/subjects */
  nats(address) {
    if (/[\s*>]/.test(address)) return 'has a blank, `*` or `>`'
    return address.split('.').includes('') ? 'has an empty part between its dots' : undefined
  },
  /** @see AMQP 0-9-1: names are short strings, `amq.` is reserved */
  rabbitmq(address) {
    const bytes = Buffer.byteLength(address)
    if (bytes > 255) return `has ${bytes} bytes, at most 255 are allowed`
    return address.startsWith('amq.') ? 'begins with the reserved `amq.`' : undefined
  },
}

/** Brokers that refuse an address, with the reason. Only the brokers that the bindings name are asked. */
export function addressProblems(
  address: string,
  brokers: Iterable<string>,
): { readonly broker: string; readonly reason: string }[] {
  return [...brokers].flatMap((broker) => {
    const reason = rules[broker]?.(address)
    return reason === undefined ? [] : [{ broker, reason }]
  })
}

/** True for an address that no broker takes: blanks at its ends, or control characters. */
export function isUnusableAddress(address: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return address.trim() !== address || /[\u0000-\u001f\u007f]/.test(address)
}
