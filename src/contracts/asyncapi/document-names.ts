/** Names that AsyncAPI permits as keys of components, one for each of ours, which may hold more characters. */
export class DocumentNames {
  readonly #keys = new Map<string, string>()
  readonly #taken = new Set<string>()

  /** The key of a name: the same for the same name, another for another. */
  keyOf(name: string): string {
    const known = this.#keys.get(name)
    if (known !== undefined) return known
    const plain = name.replaceAll(/[^\w.-]/g, '_')
    let key = plain
    for (let count = 2; this.#taken.has(key); count += 1) key = `${plain}_${count}`
    this.#taken.add(key)
    this.#keys.set(name, key)
    return key
  }
}
