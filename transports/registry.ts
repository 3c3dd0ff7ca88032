/**
 * Plugins by name: what a user writes as text, and the maker behind it.
 *
 * @module
 */

/** Plugins of one kind, at most: a program registers a handful, a loop by mistake many. */
export const MAX_PLUGINS = 256;

/** A name begins with a small letter; small letters, digits and dashes follow. */
const NAME_PATTERN = /^[a-z][a-z0-9-]*$/;

/** Makers of one kind of plugin. */
export class Registry<Plugin, Options> {
  readonly #kind: string;
  readonly #makers = new Map<string, (options: Options & { readonly argument: string }) => Plugin>();

  /** @param kind What messages call it: `transport`. */
  constructor(kind: string) {
    this.#kind = kind;
  }

  /**
   * Registers a plugin, in place of any of that name.
   *
   * @param make Gets the text that chose the plugin as `argument`: `websocket`, or `wss://hub.example/signal`.
   * @throws {TypeError} If the name is not small letters, digits and dashes.
   * @throws {RangeError} If there are too many.
   */
  register(name: string, make: (options: Options & { readonly argument: string }) => Plugin): void {
    if (!NAME_PATTERN.test(name)) {
      throw new TypeError(`Cannot register ${this.#kind} "${name}": a name is small letters, digits and dashes`);
    }
    if (this.#makers.size >= MAX_PLUGINS) throw new RangeError(`Cannot register ${this.#kind}: there are too many`);
    this.#makers.set(name, make);
  }

  /** The registered names, in the order of registration. */
  get names(): readonly string[] {
    return [...this.#makers.keys()];
  }

  /**
   * The plugin of a text: a name, or a name and what follows its colon, such as a URL with its scheme.
   *
   * @throws {TypeError} If there is none of that name; the message lists those there are.
   */
  make(text: string, options: Options): Plugin {
    const colon = text.indexOf(":");
    const make = this.#makers.get(text) ?? this.#makers.get(colon < 0 ? text : text.slice(0, colon));
    if (make === undefined) {
      throw new TypeError(`Cannot find ${this.#kind} "${text}": registered are ${this.names.join(", ")}`);
    }
    return make({ ...options, argument: text });
  }
}
