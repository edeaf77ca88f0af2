/** Server reflection: what is served, told to clients that have no .proto files. */
import {
  createRegistry,
  type DescFile,
  type DescService,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import { Code } from '@connectrpc/connect';
import type {
  ServerReflectionRequest,
  ServerReflectionResponse,
} from './gen/grpc/reflection/v1/reflection_pb.ts';

type Answer = Pick<ServerReflectionResponse, 'messageResponse'>['messageResponse'];

/** What is told of: services, and the files that define them and what they need. */
export class Reflected {
  readonly services: readonly string[];
  readonly files: ReadonlyMap<string, DescFile>;
  readonly types: Registry;

  constructor(services: readonly DescService[]) {
    this.services = services.map(({ typeName }) => typeName);
    const files = withImports(services.map(({ file }) => file));
    this.files = new Map(files.map((file) => [file.proto.name, file]));
    this.types = createRegistry(...files);
  }
}

/** Files and what they import, each once. */
function withImports(files: readonly DescFile[]): DescFile[] {
  const all = new Set<DescFile>();
  const add = (file: DescFile) => {
    if (all.has(file)) return;
    all.add(file);
    file.dependencies.forEach(add);
  };
  files.forEach(add);
  return [...all];
}

/** Most questions of one stream: what a client asks that looks at everything there is, many times over. */
const MAX_QUESTIONS = 10_000;

/** A question as both versions of the protocol put it. */
export type Question = Pick<ServerReflectionRequest, 'host'> & {
  readonly messageRequest: { readonly case: string | undefined; readonly value?: unknown };
};

/** Answers a stream of questions about what is served; a client may leave it open until the server is `closing`. */
export async function* reflect<Q extends Question>(
  reflected: Reflected,
  questions: AsyncIterable<Q>,
  closing: AbortSignal,
): AsyncGenerator<{ validHost: string; originalRequest: Q; messageResponse: Answer }> {
  const stream = questions[Symbol.asyncIterator]();
  const { promise: end, resolve } = Promise.withResolvers<IteratorResult<Q>>();
  const finish = () => resolve({ done: true, value: undefined });
  if (closing.aborted) return;
  closing.addEventListener('abort', finish, { once: true });
  try {
    for (let asked = 0; asked < MAX_QUESTIONS; asked++) {
      const { done, value: question } = await Promise.race([stream.next(), end]);
      if (done === true) return;
      const messageResponse = answer(reflected, question.messageRequest);
      yield { validHost: question.host, originalRequest: question, messageResponse };
    }
  } finally {
    closing.removeEventListener('abort', finish);
  }
}

function answer(
  { services, files, types }: Reflected,
  { case: asked, value }: Question['messageRequest'],
): Answer {
  switch (asked) {
    case 'listServices':
      return found('listServicesResponse', { service: services.map((name) => ({ name })) });
    case 'fileByFilename':
      return fileAnswer(files.get(String(value)), `there is no file ${value}`);
    case 'fileContainingSymbol':
      return fileAnswer(fileOf(types, String(value)), `there is no symbol ${value}`);
    case 'allExtensionNumbersOfType':
      if (types.getMessage(String(value)) === undefined)
        return refused(Code.NotFound, `there is no message ${value}`);
      return found('allExtensionNumbersResponse', {
        baseTypeName: String(value),
        extensionNumber: [],
      });
    case 'fileContainingExtension':
      return refused(Code.NotFound, 'no message has extensions');
    default:
      return refused(Code.InvalidArgument, 'the request asks nothing');
  }
}

/** Messages without the marks of a version: both are written from the same. */
function found(name: string, value: object): Answer {
  return { case: name, value } as Answer;
}

function refused(errorCode: number, errorMessage: string): Answer {
  return found('errorResponse', { errorCode, errorMessage });
}

/** A file and, behind it, what it imports. */
function fileAnswer(file: DescFile | undefined, otherwise: string): Answer {
  if (file === undefined) return refused(Code.NotFound, otherwise);
  const fileDescriptorProto = withImports([file]).map((each) =>
    toBinary(FileDescriptorProtoSchema, each.proto),
  );
  return found('fileDescriptorResponse', { fileDescriptorProto });
}

/** The file that defines a message, an enum, a service, or a member of one. */
function fileOf(types: Registry, symbol: string): DescFile | undefined {
  const whole = types.get(symbol);
  if (whole !== undefined) return whole.file;
  const dot = symbol.lastIndexOf('.');
  const owner = dot < 0 ? undefined : types.get(symbol.slice(0, dot));
  const member = symbol.slice(dot + 1);
  switch (owner?.kind) {
    case 'message':
      return [...owner.fields, ...owner.oneofs].some(({ name }) => name === member)
        ? owner.file
        : undefined;
    case 'service':
      return owner.methods.some(({ name }) => name === member) ? owner.file : undefined;
    default:
      return undefined;
  }
}
