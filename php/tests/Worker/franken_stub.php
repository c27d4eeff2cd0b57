<?php

declare(strict_types=1);

/** Stands in for FrankenPHP's function of this name, for `franken_requests` requests. */
function frankenphp_handle_request(callable $handle): bool
{
    static $number = 0;
    $_SERVER['REQUEST_URI'] = '/' . ++$number;
    $handle();
    return $number < $GLOBALS['franken_requests'];
}
