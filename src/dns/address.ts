/** IP family by number, as Node.js writes it. */
export type Family = 4 | 6;
