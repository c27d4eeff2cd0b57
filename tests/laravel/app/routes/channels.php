<?php

declare(strict_types=1);

use App\Models\Order;
use App\Models\User;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Broadcast;

Broadcast::channel('orders.{order}', fn (User $user, Order $order): bool => $user->id === $order->user_id);

Broadcast::channel('room.{room}', fn (User $user): array => ['name' => $user->name]);

Broadcast::channel('vault.{owner}', fn (User $user, string $owner): bool => $user->name === $owner);

Broadcast::channel('closed', fn (): bool => false);

// The module's driver does not sign users in, and Laravel 8's own drivers cannot.
if (
    !str_starts_with((string) getenv('POGO_TEST_DRIVER'), 'module')
    && method_exists(Broadcast::connection(), 'resolveAuthenticatedUserUsing')
) {
    Broadcast::resolveAuthenticatedUserUsing(fn (Request $request): ?array => $request->user() === null
        ? null
        : ['id' => $request->user()->id, 'user_info' => ['name' => $request->user()->name]]);
}
