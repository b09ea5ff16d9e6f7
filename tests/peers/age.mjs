// The npm package age-encryption as a small program, for the tests to exchange files with.
//
//     node age.mjs keygen                  prints a post-quantum identity, then its recipient
//     node age.mjs recipient IDENTITY      prints the recipient of an identity
//     node age.mjs encrypt RECIPIENT       standard input to standard output
//     node age.mjs decrypt IDENTITY        standard input to standard output

import { readFileSync, writeFileSync } from "node:fs";
import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";

const input = () => new Uint8Array(readFileSync(0));
const output = (data) => writeFileSync(1, data);

const commands = {
  async keygen() {
    const identity = await generateHybridIdentity();
    output(`${identity}\n${await identityToRecipient(identity)}\n`);
  },
  async recipient(identity) {
    output(`${await identityToRecipient(identity)}\n`);
  },
  async encrypt(recipient) {
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient);
    output(await encrypter.encrypt(input()));
  },
  async decrypt(identity) {
    const decrypter = new Decrypter();
    decrypter.addIdentity(identity);
    output(await decrypter.decrypt(input()));
  },
};

const [command, key] = process.argv.slice(2);
await commands[command](key);
