/** Whether this is continuous integration, where what is missing is a failure and no reason to skip. */
export const isInCi: boolean = !['', 'false'].includes(process.env['CI'] ?? '');
