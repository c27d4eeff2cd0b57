<?php

declare(strict_types=1);

use Illuminate\Database\Migrations\Migration;
use Illuminate\Database\Schema\Blueprint;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Schema;

return new class extends Migration {
    public function up(): void
    {
        Schema::create('users', function (Blueprint $table): void {
            $table->id();
            $table->string('name')->unique();
            $table->string('password');
            $table->rememberToken();
        });
        Schema::create('orders', function (Blueprint $table): void {
            $table->id();
            $table->foreignId('user_id');
            $table->integer('total');
        });
        foreach (['ada', 'bob'] as $number => $name) {
            $id = $number + 1;
            // As cheap as bcrypt can be: every test logs in.
            $password = password_hash("$name-secret", PASSWORD_BCRYPT, ['cost' => 4]);
            DB::table('users')->insert(['id' => $id, 'name' => $name, 'password' => $password]);
            DB::table('orders')->insert(['id' => $id, 'user_id' => $id, 'total' => 42 * $id]);
        }
    }
};
