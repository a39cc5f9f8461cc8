/** Ends or removes something. */
export type Close = () => Promise<void> | void;

/**
 * What was opened last is closed first. All are tried.
 *
 * @throws what the first of them threw
 */
export async function closeAll(closers: readonly Close[]): Promise<void> {
  const errors: unknown[] = [];
  for (const close of [...closers].reverse()) {
    try {
      await close();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}
