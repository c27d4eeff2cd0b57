<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Laravel\Install;

/**
 * An array literal in the source of a PHP file, read from PHP's own tokens: nothing is executed, and
 * brackets in strings and comments do not count.
 */
final class ArrayLiteral
{
    private const DEPTH = [
        '[' => 1, '(' => 1, '{' => 1, '${' => 1, '#[' => 1,
        ']' => -1, ')' => -1, '}' => -1,
    ];

    /**
     * @param list<\PhpToken>    $tokens of the file
     * @param int                $start  the position in the text behind the opening bracket
     * @param array<string, int> $keys   the positions of the keys that are plain strings
     * @param array<string, int> $values the numbers of the tokens that their values begin with
     */
    private function __construct(
        private readonly array $tokens,
        public readonly int $start,
        public readonly array $keys,
        private readonly array $values,
    ) {
    }

    /**
     * The array that a file returns, if it returns a literal and nothing else.
     */
    public static function returnedBy(string $text): ?self
    {
        try {
            $tokens = \PhpToken::tokenize($text, TOKEN_PARSE);
        } catch (\ParseError) {
            return null;
        }
        $meant = static fn (\PhpToken $token): bool => !$token->isIgnorable();
        $tokens = array_values(array_filter($tokens, $meant));
        foreach ($tokens as $number => $token) {
            if ($token->is(T_RETURN)) {
                return self::at($tokens, $number + 1);
            }
        }
        return null;
    }

    /**
     * The array literal that is the value of a key.
     */
    public function child(string $key): ?self
    {
        return isset($this->values[$key]) ? self::at($this->tokens, $this->values[$key]) : null;
    }

    /**
     * @param list<\PhpToken> $tokens
     */
    private static function at(array $tokens, int $first): ?self
    {
        $first += $tokens[$first]->is(T_ARRAY) ? 1 : 0;
        if (!$tokens[$first]->is(['[', '('])) {
            return null;
        }
        $keys = $values = [];
        $depth = 0;
        for ($number = $first; isset($tokens[$number + 1]); $number++) {
            $token = $tokens[$number];
            $next = $tokens[$number + 1];
            $depth += self::DEPTH[$token->text] ?? 0;
            if ($depth === 0) {
                // Where something else follows, the literal is but a part of the value.
                $isWhole = $next->is([';', ',', ']', ')']);
                return $isWhole ? new self($tokens, $tokens[$first]->pos + 1, $keys, $values) : null;
            }
            if ($depth === 1 && $token->is(T_CONSTANT_ENCAPSED_STRING) && $next->is(T_DOUBLE_ARROW)) {
                $key = substr($token->text, 1, -1);
                $keys[$key] = $token->pos;
                $values[$key] = $number + 2;
            }
        }
        return null;
    }
}
