import { TreatyError } from '../../core/errors.ts'

export interface InitAnswers {
  readonly directory: string
  readonly name: string
}

/** Asks for what was not given. @throws USAGE when the person cancels */
export async function ask(
  given: Partial<InitAnswers>,
  nameFor: (directory: string) => string,
): Promise<InitAnswers> {
  const { cancel, intro, isCancel, text } = await import('@clack/prompts')
  const answer = async (message: string, usual: string): Promise<string> => {
    const value = await text({ message, placeholder: usual, defaultValue: usual })
    if (!isCancel(value)) return value
    cancel('nothing was written')
    throw new TreatyError('USAGE', 'the questions were cancelled', {
      hint: 'Use --yes to be asked nothing.',
    })
  }
  intro('treaty init')
  const directory = given.directory ?? (await answer('Where shall the project go?', '.'))
  const name = given.name ?? (await answer('What is it called?', nameFor(directory)))
  return { directory, name }
}
